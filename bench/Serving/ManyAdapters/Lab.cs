using Eigengate.Inference;
using Eigengate.Inference.Adapters;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>
/// Engines with one random model, in this process: a request takes a fifth of a second here and half a millisecond over HTTP, so
/// the ratios would not see HTTP, and what a client needs to ask would be counted as the engine's.
/// </summary>
internal sealed class Lab : IAsyncDisposable
{
    public const int Tokens = 10;

    private readonly DirectoryInfo _model = Directory.CreateTempSubdirectory("eigengate-bench-");
    private readonly List<EngineLoop> _loops = [];

    public Lab(LabOptions options)
    {
        Options = options;
        options.Shape.Write(_model.FullName, seed: 1);
        Prompts = Sonnets.Load(options.Prompts, options.Shape.Vocabulary);
        Console.WriteLine($"{Prompts.Length} sonnets of {Prompts.Average(p => p.Length):F0} tokens, {Tokens} new tokens each; {options.Requests} requests a turn, "
            + $"{options.InFlight} at once, {options.Rounds} interleaved rounds; popularity {options.Popularity}, sizes {options.Sizes}, {options.DType}");
        Console.WriteLine();
    }

    public LabOptions Options { get; }

    public int[][] Prompts { get; }

    /// <param name="poolBytes">Memory for the A and B of uncompressed adapters.</param>
    public EngineLoop Start(int slots, long poolBytes = 1, int maxSequences = 0)
    {
        var loop = new EngineLoop(Engine.Load(_model.FullName, new EngineOptions
        {
            DType = Options.DType,
            Threads = Options.Threads,
            AdapterSlots = slots,
            AdapterPoolBytes = poolBytes,
            KvCacheBytes = 1 << 30,
            MaxSequences = Math.Max(Options.InFlight, maxSequences),
            // The same sonnet comes again with the same adapter the more often the fewer adapters there are.
            PrefixCache = false,
        }));
        _loops.Add(loop);
        return loop;
    }

    public int[] Draw(int adapters, int seed) => AdapterChoice.Draw(Options.Popularity, adapters, Options.Requests, seed);

    /// <summary>One turn of requests at saturation.</summary>
    /// <param name="turn">Chooses the sonnets.</param>
    public Task<Turn> RunAsync(EngineLoop loop, int turn, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel) =>
        LoadOn(loop, turn).ClosedLoopAsync(Options.Requests, Options.InFlight, adapterOf, cancel);

    public Load LoadOn(EngineLoop loop, int turn) =>
        new(loop, [.. Enumerable.Range(0, Options.Requests).Select(i => Prompts[((turn * Options.Requests) + i) % Prompts.Length])], Tokens);

    public async ValueTask DisposeAsync()
    {
        foreach (EngineLoop loop in _loops)
            await loop.DisposeAsync();
        _model.Delete(recursive: true);
    }
}
