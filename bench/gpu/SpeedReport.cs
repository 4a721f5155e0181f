using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Eigengate.Bench;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Gpu;

/// <summary>Decode speed of a random bfloat16 model: by batch, by number of adapters, compressed and uncompressed, against the memory's limit.</summary>
internal sealed class SpeedReport(string deviceName, int tokens)
{
    private const int Rounds = 3, Rank = 16, AdapterBatch = 64, MostAdapters = 1024;
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };
    private readonly Device _device = deviceName == "cuda" ? CUDA : CPU;
    private readonly List<Row> _rows = [];

    /// <summary>One line of the report.</summary>
    /// <param name="Name">What was measured.</param>
    /// <param name="Batch">Sequences at once.</param>
    /// <param name="TokensPerSecond">Median of the rounds.</param>
    /// <param name="Against">What the ratio divides.</param>
    /// <param name="Ratio">Of the two.</param>
    private sealed record Row(string Name, int Batch, double TokensPerSecond, string Against, double Ratio);

    public async Task<bool> RunAsync(string? shapeName, string work, string report, CancellationToken cancel)
    {
        ModelShape shape = Choose(shapeName);
        string folder = Path.Combine(work, $"eigengate-random-{shape.Name}-{Guid.NewGuid():N}");
        double bandwidth = Bandwidth();
        try
        {
            RandomCheckpoint.Write(folder, shape);
            await using var loop = new EngineLoop(Engine.Load(folder, Options()));
            await BatchesAsync(loop, shape, bandwidth, cancel);
            await AdaptersAsync(loop, cancel);
        }
        finally
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }

        Write(report, shape, bandwidth);
        return Outcome.Print(_rows.All(row => row.TokensPerSecond > 0), $"{_rows.Count} figures of shape {shape.Name} in {report}.md and {report}.json");
    }

    private EngineOptions Options() => new()
    {
        Device = deviceName,
        DType = EngineDType.BFloat16,
        KvCacheBytes = 4L << 30,
        MaxModelLength = 512,
        MaxSequences = 256,
        AdapterSlots = MostAdapters,
        AdapterPoolBytes = 4L << 30,
        MaxBatchedTokens = 2048,
        PrefixCache = false,
    };

    /// <summary>Named, or the largest whose weights can be allocated three times over.</summary>
    private ModelShape Choose(string? name)
    {
        if (name is not null)
            return ModelShape.Named(name);
        return deviceName == "cpu" ? ModelShape.Known[^1] : ModelShape.Known.First(s => Fits(3 * s.StepBytes));
    }

    private bool Fits(long bytes)
    {
        try
        {
            torch.empty(bytes, dtype: ScalarType.Byte, device: _device).Dispose();
            return true;
        }
        catch (System.Runtime.InteropServices.ExternalException)
        {
            return false;
        }
    }

    /// <summary>Bytes per second that a copy inside the device's memory moves, read and written.</summary>
    private double Bandwidth()
    {
        long bytes = deviceName == "cuda" ? 2L << 30 : 256L << 20;
        using Tensor from = torch.zeros(bytes, dtype: ScalarType.Byte, device: _device), to = torch.zeros(bytes, dtype: ScalarType.Byte, device: _device);
        var speeds = new List<double>();
        for (int i = 0; i < 7; i++)
        {
            Synchronize();
            long start = Stopwatch.GetTimestamp();
            to.copy_(from);
            Synchronize();
            speeds.Add(2 * bytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return Statistics.Median(speeds);
    }

    private void Synchronize()
    {
        if (deviceName == "cuda")
            torch.cuda.synchronize();
    }

    private async Task BatchesAsync(EngineLoop loop, ModelShape shape, double bandwidth, CancellationToken cancel)
    {
        foreach (int batch in (int[])[1, 32, 256])
        {
            double speed = await MedianSpeedAsync(loop, batch, _ => null, cancel);
            _rows.Add(new Row("base alone", batch, speed, "steps/s ÷ bandwidth over weights", speed / batch / (bandwidth / shape.StepBytes)));
        }
    }

    /// <summary>1 to 1,024 adapters in turn against none; then the same uncompressed.</summary>
    private async Task AdaptersAsync(EngineLoop loop, CancellationToken cancel)
    {
        var random = new RandomAdapters(loop.Engine.Config);
        var basis = random.Cluster(Rank, seed: 1);
        loop.Engine.AddCluster("speed", basis);
        double none = await MedianSpeedAsync(loop, AdapterBatch, _ => null, cancel);
        foreach (int count in (int[])[1, 4, 16, 64, 256, MostAdapters])
        {
            int next = 0;
            double compressed = await MedianSpeedAsync(loop, AdapterBatch, _ => loop.Engine.LoadAdapter(Compressed(next++ % count)), cancel);
            _rows.Add(new Row($"{count} compressed", AdapterBatch, compressed, "÷ none", compressed / none));
            if (count < AdapterBatch)
                continue;
            next = 0;
            double exact = await MedianSpeedAsync(loop, AdapterBatch, _ => loop.Engine.LoadAdapter(Exact(next++ % count)), cancel);
            _rows.Add(new Row($"{count} uncompressed", AdapterBatch, exact, "compressed ÷ uncompressed", compressed / exact));
        }

        AdapterWeights Compressed(int i) => random.Compressed($"compressed-{i}", "speed", basis, seed: i);

        AdapterWeights Exact(int i) => random.Exact($"exact-{i}", Rank, seed: i);
    }

    private async Task<double> MedianSpeedAsync(EngineLoop loop, int batch, Func<int, ResidentAdapter?> adapterOf, CancellationToken cancel)
    {
        var speeds = new List<double>();
        for (int round = -1; round < Rounds; round++)
        {
            double speed = await GreedyLoad.TokensPerSecondAsync(loop, batch, tokens, adapterOf, cancel);
            if (round >= 0)
                speeds.Add(speed);
        }

        return Statistics.Median(speeds);
    }

    private void Write(string report, ModelShape shape, double bandwidth)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"Shape {shape.Name}, bfloat16, device {deviceName}, {tokens} tokens a sequence, median of {Rounds}; memory bandwidth {bandwidth / 1e9:F0} GB/s, a step reads {shape.StepBytes / 1e9:F3} GB of weights.");
        text.AppendLine().AppendLine("| what | batch | tokens/s | ratio | of |").AppendLine("|---|---|---|---|---|");
        foreach (Row row in _rows)
            text.AppendLine(CultureInfo.InvariantCulture, $"| {row.Name} | {row.Batch} | {row.TokensPerSecond:F0} | {row.Ratio:F3} | {row.Against} |");
        File.WriteAllText(report + ".md", text.ToString());
        File.WriteAllText(report + ".json", JsonSerializer.Serialize(
            new { shape = shape.Name, device = deviceName, tokens, rounds = Rounds, bandwidth, stepBytes = shape.StepBytes, rows = _rows }, Indented));
        Console.Write(text);
    }
}
