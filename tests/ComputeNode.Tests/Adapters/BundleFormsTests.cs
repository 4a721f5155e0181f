using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.Safetensors;
using static Eigengate.ComputeNode.Tests.Support.RunningNode;

namespace Eigengate.ComputeNode.Tests.Adapters;

public sealed class BundleFormsTests(SharedIndex index)
{
    private static readonly string[] Names = ["a0", "a1", "a2"];

    public static TheoryData<CompressionMethod, int, int, DType> Forms => new()
    {
        { CompressionMethod.Full, 2, 1, DType.F32 },
        { CompressionMethod.Full, 3, 2, DType.I8 },
        { CompressionMethod.Diagonal, 4, 1, DType.I8 },
        { CompressionMethod.Svd, 2, 0, DType.F32 },
        { CompressionMethod.Ties, 4, 0, DType.F32 },
    };

    /// <summary>The same adapters as ordinary LoRA, served uncompressed: another path through index and engine.</summary>
    [Theory]
    [MemberData(nameof(Forms))]
    public async Task Bundle_IsServed_LikeItsExport(CompressionMethod method, int rank, int residual, DType coreDType)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("forms-test-");
        try
        {
            string bundle = Path.Combine(folder.FullName, "bundle"), exported = Path.Combine(folder.FullName, "exported");
            string[] sources = [.. Names.Select((name, i) => TinyModel.WriteAdapter(Path.Combine(folder.FullName, "adapters", name), seed: 40 + i, rank: 4))];
            CompressionResult result = Compressor.Compress(
                new() { Output = bundle, Method = method, RankU = rank, RankV = rank, Residual = residual, CoreDType = coreDType, MergeScale = 2 }, sources);
            Assert.True(result.Report.MeanRelSqError > 0.01, "a lossless bundle would not tell the paths apart");
            using (Bundle opened = Bundle.Open(bundle))
                PeftExport.Write(opened, Names, exported);

            await using RunningNode compressed = await StartAsync(index, (options, _) => options with { BundleDirectory = bundle });
            await using RunningNode exact = await StartAsync(index, (options, _) => options with { AdapterDirectory = exported });
            double[][] expected = await ScoresAsync(exact), actual = await ScoresAsync(compressed);
            for (int i = 0; i < Names.Length; i++)
                Assert.Equal(expected[i], actual[i], (a, b) => Math.Abs(a - b) < 2e-3);
            Assert.Equal(method == CompressionMethod.Ties ? 1 : 3, actual.Select(s => Math.Round(s[3], 3)).Distinct().Count());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Log-probabilities of a prompt's tokens under each adapter, asked for at the same time.</summary>
    private static async Task<double[][]> ScoresAsync(RunningNode node)
    {
        JsonNode[] answers = await Task.WhenAll(Names.Select(name => node.CompleteAsync(
            new { model = name, prompt = "abcdefgh", max_tokens = 1, temperature = 0, echo = true, logprobs = 1 })));
        return [.. answers.Select(a => a["choices"]![0]!["logprobs"]!["token_logprobs"]!.AsArray().Skip(1).Select(v => (double)v!).ToArray())];
    }
}
