using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>
/// Engines with one random model, in this process: a request takes a sixth of a second here and half a millisecond over HTTP, so
/// the ratios would not see HTTP, and what a client needs to ask would be counted as the engine's.
/// </summary>
internal sealed class Lab : IAsyncDisposable
{
    public const int Tokens = 10, Rank = 16;

    /// <summary>Arrivals per answer of an engine that always has work: a queue is soon there, and grows for one turn.</summary>
    private const double Saturation = 2;

    private readonly DirectoryInfo _model = Directory.CreateTempSubdirectory("eigengate-bench-");
    private readonly List<EngineLoop> _loops = [];

    public Lab(LabOptions options)
    {
        Options = options;
        RandomCheckpoint.Write(_model.FullName, options.Shape);
        Prompts = Sonnets.Load(options.Prompts, options.Shape.Vocabulary);
        Console.WriteLine($"shape {options.Shape.Name}, {options.DType}; {Prompts.Length} sonnets of {Prompts.Average(p => p.Length):F0} tokens, {Tokens} new tokens each; "
            + $"adapters of rank {Rank} on q, k and v, bundle sizes {options.Sizes}; {options.Requests} requests a turn, {options.Rounds} interleaved rounds");
        Console.WriteLine();
    }

    public LabOptions Options { get; }

    public int[][] Prompts { get; }

    /// <summary>Requests per second that <see cref="CalibrateAsync"/> found.</summary>
    public double Speed { get; private set; }

    /// <param name="slots">Compressed adapters on the device.</param>
    /// <param name="poolBytes">Memory for the A and B of uncompressed adapters.</param>
    /// <param name="merge">An adapter to add to the weights.</param>
    public EngineLoop Start(int slots = 1, long poolBytes = 1, Func<RandomAdapters, AdapterWeights>? merge = null)
    {
        var options = new EngineOptions
        {
            DType = Options.DType,
            CoreDType = Options.DType,
            Threads = Options.Threads,
            AdapterSlots = slots,
            AdapterPoolBytes = poolBytes,
            KvCacheBytes = 1 << 30,
            MaxSequences = 64,
            // The same sonnet comes again with the same adapter the more often the fewer adapters there are.
            PrefixCache = false,
        };
        var loop = new EngineLoop(Engine.Load(_model.FullName, options, merge?.Invoke(new RandomAdapters(ModelConfig.Load(_model.FullName)))));
        _loops.Add(loop);
        return loop;
    }

    /// <summary>Gives an engine's memory back before the end.</summary>
    public async Task StopAsync(EngineLoop loop)
    {
        _loops.Remove(loop);
        await loop.DisposeAsync();
    }

    public int[] Draw(Popularity popularity, int adapters, int seed) => AdapterChoice.Draw(popularity, adapters, Options.Requests, seed);

    /// <summary>Warms an engine up and finds out how fast it is at saturation.</summary>
    public async Task CalibrateAsync(EngineLoop loop, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel)
    {
        await RunAsync(loop, 0, double.PositiveInfinity, adapterOf, cancel);
        Speed = (await RunAsync(loop, 1, double.PositiveInfinity, adapterOf, cancel)).RequestsPerSecond;
    }

    /// <summary>One turn at saturation; requests per second.</summary>
    /// <param name="turn">Chooses the sonnets and the times of arrival.</param>
    public async Task<double> SaturateAsync(EngineLoop loop, int turn, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel) =>
        (await RunAsync(loop, turn, Saturation * Speed, adapterOf, cancel)).RequestsPerSecond;

    /// <summary>One turn of requests that arrive at <paramref name="rate"/> per second.</summary>
    public Task<Turn> RunAsync(EngineLoop loop, int turn, double rate, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel)
    {
        int[][] prompts = [.. Enumerable.Range(0, Options.Requests).Select(i => Prompts[((turn * Options.Requests) + i) % Prompts.Length])];
        return new Load(loop, prompts, Tokens).RunAsync(rate, turn, adapterOf, cancel);
    }

    public static ValueTask<ResidentAdapter?> NoAdapter(int request) => ValueTask.FromResult<ResidentAdapter?>(null);

    public async ValueTask DisposeAsync()
    {
        foreach (EngineLoop loop in _loops)
            await loop.DisposeAsync();
        _model.Delete(recursive: true);
    }
}
