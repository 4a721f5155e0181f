using System.Diagnostics;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>What one turn gave.</summary>
/// <param name="RequestsPerSecond">From the first arrival to the last answer.</param>
/// <param name="FirstTokenMs">Of each request, from its arrival.</param>
internal sealed record Turn(double RequestsPerSecond, IReadOnlyList<double> FirstTokenMs);

/// <summary>Requests on one engine, one for each prompt, which arrive whether or not others are answered.</summary>
internal sealed class Load(EngineLoop loop, int[][] prompts, int tokens)
{
    /// <summary>Requests at random times (a Poisson process).</summary>
    /// <param name="rate">Per second; infinite: all at once.</param>
    /// <param name="seed">Gives the times between arrivals.</param>
    /// <param name="adapterOf">The adapter of a request, leased; null for the base.</param>
    /// <param name="cancel">Ends all.</param>
    public async Task<Turn> RunAsync(double rate, int seed, Func<int, ValueTask<ResidentAdapter?>> adapterOf, CancellationToken cancel)
    {
        var random = new Random(seed);
        var answers = new List<Task<double>>(prompts.Length);
        var clock = Stopwatch.StartNew();
        double due = 0;
        for (int i = 0; i < prompts.Length; i++)
        {
            TimeSpan wait = TimeSpan.FromSeconds(due) - clock.Elapsed;
            if (wait > TimeSpan.Zero)
                await Task.Delay(wait, cancel);
            answers.Add(AnswerAsync(i, adapterOf, cancel));
            due += -Math.Log(1 - random.NextDouble()) / rate;
        }

        double[] first = await Task.WhenAll(answers);
        return new Turn(prompts.Length / clock.Elapsed.TotalSeconds, first);
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
