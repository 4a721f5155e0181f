using System.Diagnostics;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>What one turn gave.</summary>
/// <param name="RequestsPerSecond">Over the whole turn.</param>
/// <param name="FirstTokenMs">Of each request, from its arrival.</param>
internal sealed record Turn(double RequestsPerSecond, IReadOnlyList<double> FirstTokenMs);

/// <summary>Requests on one engine: a sonnet each, ten new tokens.</summary>
internal sealed class Load(EngineLoop loop, int[][] prompts, int tokens)
{
    /// <summary>Keeps a number of requests in flight until all are answered: speed at saturation, with no queue that grows.</summary>
    /// <param name="adapterOf">The adapter of a request, leased; null for the base.</param>
    public async Task<Turn> ClosedLoopAsync(int requests, int inFlight, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel)
    {
        double[] first = new double[requests];
        int next = -1;
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(async _ =>
        {
            for (int i = Interlocked.Increment(ref next); i < requests; i = Interlocked.Increment(ref next))
                first[i] = await AnswerAsync(i, adapterOf, cancel);
        }));
        return new Turn(requests / Stopwatch.GetElapsedTime(start).TotalSeconds, first);
    }

    /// <summary>Requests arrive at random times (a Poisson process), whether or not others are answered: the waiting that clients see.</summary>
    /// <param name="rate">Per second.</param>
    /// <param name="random">Gives the times between arrivals.</param>
    public async Task<Turn> OpenLoopAsync(int requests, double rate, Random random, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel)
    {
        var answers = new List<Task<double>>(requests);
        var clock = Stopwatch.StartNew();
        double due = 0;
        for (int i = 0; i < requests; i++)
        {
            due += -Math.Log(1 - random.NextDouble()) / rate;
            TimeSpan wait = TimeSpan.FromSeconds(due) - clock.Elapsed;
            if (wait > TimeSpan.Zero)
                await Task.Delay(wait, cancel);
            answers.Add(AnswerAsync(i, adapterOf, cancel));
        }

        double[] first = await Task.WhenAll(answers);
        return new Turn(requests / clock.Elapsed.TotalSeconds, first);
    }

    private async Task<double> AnswerAsync(int i, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel)
    {
        long arrived = Stopwatch.GetTimestamp();
        var sampling = new SamplingParams { MaxTokens = tokens, Temperature = 0, IgnoreEos = true };
        var request = new GenerationRequest($"request-{i}", prompts[i], sampling, await adapterOf(i)) { Arrived = arrived };
        double first = 0;
        await foreach (GenerationEvent next in loop.GenerateAsync(request, cancel))
        {
            if (first == 0 && next is TokenGenerated)
                first = Stopwatch.GetElapsedTime(arrived).TotalMilliseconds;
        }

        return first;
    }
}
