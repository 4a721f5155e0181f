using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Choosing;
using Eigengate.Safetensors;

namespace Eigengate.Bench.Compression;

/// <summary>
/// Error at equal bytes: the algorithm of the paper, and what <c>compress</c> makes of the same adapters' files, with the
/// same rank and clusters and with what it chooses itself for as many bytes; truncated SVD for comparison.
/// </summary>
internal sealed class QualityBenchmark(int count, int loraRank, int rank, int clusters, string work)
{
    private static readonly (string Path, int Out, int In)[] Modules =
    [
        ("model.layers.0.self_attn.q_proj", 512, 512), ("model.layers.0.self_attn.k_proj", 128, 512), ("model.layers.0.self_attn.v_proj", 128, 512),
    ];

    internal void Run()
    {
        Console.WriteLine($"{count} adapters of rank {loraRank}; modules {string.Join(", ", Modules.Select(m => $"{m.Out}x{m.In}"))}; bytes of a bundle's float32 data files");
        Console.WriteLine();
        Console.WriteLine("| collection | method | error | bytes | seconds | against the paper |");
        Console.WriteLine("|---|---|---|---|---|---|");
        string folder = Path.Combine(work, $"quality-bench-{Environment.ProcessId}");
        try
        {
            foreach (Structure structure in Enum.GetValues<Structure>())
                Compare(structure, Path.Combine(folder, structure.ToString()));
        }
        finally
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }
    }

    private void Compare(Structure structure, string folder)
    {
        var collection = new Collections(structure, clusters, Shared: structure == Structure.Symmetric ? 20 : rank);
        LoraDelta[][] deltas = [.. Modules.Select((m, i) => collection.Make(count, m.Out, m.In, loraRank, seed: 10 + i))];
        string[] adapters = [.. Enumerable.Range(0, count).Select(i => Write(Path.Combine(folder, $"adapter-{i:D4}"), [.. deltas.Select(d => d[i])]))];
        List<CanonicalFactors> modules = [.. deltas.Select(d => CanonicalFactors.From([.. d.Select((delta, i) => (i, delta))]))];

        double paper = 0;
        int rounds = 0;
        double seconds = MatrixProduct.Time(() => (paper, rounds) = new PaperAlgorithm(rank, clusters, seed: 1).Run(modules));

        var options = new CompressorOptions { Output = Path.Combine(folder, "same"), RankU = rank, RankV = rank, Clusters = clusters, FigureModules = 0 };
        CompressionReport same = Compressor.Compress(options, adapters).Report;
        Row($"paper, C={clusters}, r={rank}, {rounds} rounds", paper, same.BytesOut, seconds);
        Row($"compress --rank {rank} --clusters {clusters}", same.MeanRelSqError, same.BytesOut, same.Seconds);

        GoalResult? chosen = null;
        seconds = MatrixProduct.Time(() => chosen = GoalCompressor.Compress(
            options with { Output = Path.Combine(folder, "chosen") }, new CompressionGoal { BudgetBytes = same.BytesOut }, adapters));
        CompressionReport own = chosen!.Result.Report;
        Row($"compress --budget-bytes {same.BytesOut}: {chosen.Choices[^1].Chosen.Setting}", own.MeanRelSqError, own.BytesOut, seconds);

        long perRank = count * Modules.Sum(m => (long)(m.Out + m.In) * sizeof(float));
        int t = (int)(same.BytesOut / perRank);
        Row($"truncated SVD, rank {t}, without file headers", modules.Average(m => TruncatedSvd.Errors(m, t).Average()), t * perRank, 0);
        modules.ForEach(m => m.Dispose());

        void Row(string method, double value, long bytes, double taken) =>
            Console.WriteLine($"| {structure} | {method} | {value:F4} | {bytes / 1e6:F2} MB | {taken:F1} | {(value / paper) - 1:P1} |");
    }

    /// <summary>An ordinary LoRA adapter of float32 weights; alpha carries the scale.</summary>
    private string Write(string folder, LoraDelta[] deltas)
    {
        Directory.CreateDirectory(folder);
        var writer = new SafetensorsWriter();
        for (int m = 0; m < deltas.Length; m++)
        {
            writer.Add($"base_model.model.{Modules[m].Path}.lora_A.weight", deltas[m].A, [loraRank, Modules[m].In]);
            writer.Add($"base_model.model.{Modules[m].Path}.lora_B.weight", deltas[m].B, [Modules[m].Out, loraRank]);
        }

        writer.Save(Path.Combine(folder, "adapter_model.safetensors"));
        string alpha = (deltas[0].Scale * loraRank).ToString("R", System.Globalization.CultureInfo.InvariantCulture);
        File.WriteAllText(
            Path.Combine(folder, "adapter_config.json"),
            $$"""{"peft_type":"LORA","base_model_name_or_path":"made","r":{{loraRank}},"lora_alpha":{{alpha}},"target_modules":["q_proj","k_proj","v_proj"],"bias":"none"}""");
        return folder;
    }
}
