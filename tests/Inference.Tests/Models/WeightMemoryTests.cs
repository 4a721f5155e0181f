using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Eigengate.Inference.Models;
using TorchSharp;

namespace Eigengate.Inference.Tests.Models;

/// <summary>Reads the peak memory of the process, so nothing else may run meanwhile.</summary>
[Collection("alone")]
public class WeightMemoryTests
{
    private const int Hidden = 1024;
    private const int Mlp = 4096;
    private const int Vocabulary = 32000;
    private const int Layers = 6;

    /// <summary>Numbers in the file: tied embedding, norms, and per layer four square matrices and three of the MLP.</summary>
    private const long Count = ((long)Vocabulary * Hidden) + Hidden + (Layers * ((4L * Hidden * Hidden) + (3L * Hidden * Mlp) + (2 * Hidden)));

    [Theory]
    [InlineData("BF16", 2, torch.ScalarType.BFloat16, 2)]
    [InlineData("F32", 4, torch.ScalarType.Float32, 4)]
    [InlineData("F16", 2, torch.ScalarType.BFloat16, 2)]
    [InlineData("F32", 4, torch.ScalarType.BFloat16, 2)]
    [InlineData("BF16", 2, torch.ScalarType.Float32, 4)]
    public void Loading_takes_the_memory_of_the_weights_and_little_more(string fileType, int fileBytes, torch.ScalarType engineType, int engineBytes)
    {
        string directory = Directory.CreateTempSubdirectory("eigengate-memory-").FullName;
        try
        {
            WriteCheckpoint(directory, fileType, fileBytes);
            ModelConfig config = ModelConfig.Load(directory);
            GiveBackFreeMemory();
            Assert.SkipUnless(TryResetPeak(), "the kernel does not let this process reset its peak memory (/proc/self/clear_refs)");
            long before = Peak();
            using (DecoderWeights.Load(directory, config, engineType, torch.CPU))
                Assert.InRange(Peak() - before, Count * engineBytes * 3 / 4, (Count * engineBytes) + (32 << 20));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>All zeros, as a file with a hole: no disk, no memory.</summary>
    private static void WriteCheckpoint(string directory, string fileType, int fileBytes)
    {
        var header = new JsonObject();
        long end = 0;
        void Add(string name, params int[] shape)
        {
            long begin = end;
            end += shape.Aggregate((long)fileBytes, (bytes, n) => bytes * n);
            header[name] = new JsonObject
            {
                ["dtype"] = fileType,
                ["shape"] = new JsonArray([.. shape.Select(n => (JsonNode)n)]),
                ["data_offsets"] = new JsonArray(begin, end),
            };
        }

        Add("model.embed_tokens.weight", Vocabulary, Hidden);
        Add("model.norm.weight", Hidden);
        for (int i = 0; i < Layers; i++)
        {
            foreach (string norm in (string[])["input_layernorm", "post_attention_layernorm"])
                Add($"model.layers.{i}.{norm}.weight", Hidden);
            foreach (string projection in (string[])["q_proj", "k_proj", "v_proj", "o_proj"])
                Add($"model.layers.{i}.self_attn.{projection}.weight", Hidden, Hidden);
            Add($"model.layers.{i}.mlp.gate_proj.weight", Mlp, Hidden);
            Add($"model.layers.{i}.mlp.up_proj.weight", Mlp, Hidden);
            Add($"model.layers.{i}.mlp.down_proj.weight", Hidden, Mlp);
        }

        Assert.Equal(Count * fileBytes, end);
        byte[] json = Encoding.UTF8.GetBytes(header.ToJsonString());
        using (FileStream file = File.Create(Path.Combine(directory, "model.safetensors")))
        {
            file.Write(BitConverter.GetBytes((long)json.Length));
            file.Write(json);
            file.SetLength(8 + json.Length + end);
        }

        File.WriteAllText(Path.Combine(directory, "config.json"), $$"""
            {"model_type": "llama", "hidden_size": {{Hidden}}, "intermediate_size": {{Mlp}}, "num_hidden_layers": {{Layers}},
             "num_attention_heads": 16, "vocab_size": {{Vocabulary}}, "tie_word_embeddings": true}
            """);
    }

    /// <summary>Otherwise what earlier tests freed would be used again and not be seen.</summary>
    private static void GiveBackFreeMemory()
    {
        torch.zeros(1).Dispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        _ = malloc_trim(0);
    }

    [DllImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int malloc_trim(nuint pad);

    private static bool TryResetPeak()
    {
        try
        {
            File.WriteAllText("/proc/self/clear_refs", "5");
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Most resident bytes since the last reset.</summary>
    private static long Peak()
    {
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
