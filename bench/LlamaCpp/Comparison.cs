using System.Text.Json.Nodes;
using Eigengate.Bench;

namespace Eigengate.LlamaCpp;

/// <summary>Runs the engine and llama.cpp in turn and prints the medians and the median ratio of each measure.</summary>
internal sealed class Comparison(ModelShape shape, EngineUnderTest engine, Floor floor, int rounds, CancellationToken cancel)
{
    /// <summary>How often llama.cpp, fed the engine's own greedy tokens, would choose the same next token.</summary>
    public async Task<double> AgreementAsync(LlamaProcess llama)
    {
        const int Prompts = 8, Tokens = 8;
        int equal = 0;
        for (int p = 0; p < Prompts; p++)
        {
            int[] prompt = engine.Prompt(100 + p, 16), ids = await engine.GreedyAsync(prompt, Tokens, cancel);
            JsonArray chosen = (JsonArray)(await llama.RunAsync(new { run = "greedy", prompt, continuation = ids }, cancel))["chosen"]!;
            equal += chosen.Zip(ids, (theirs, ours) => (int)theirs! == ours ? 1 : 0).Sum();
        }

        return equal / (double)(Prompts * Tokens);
    }

    public Task PrefillAsync(LlamaProcess llama, int length) => MeasureAsync(
        $"prefill of {length} tokens",
        length,
        round => engine.PrefillSecondsAsync(length, round, cancel),
        round => llama.SecondsAsync(new { run = "prefill", length, seed = round }, cancel),
        floor.StepSeconds(shape, length, allLogits: false));

    public Task DecodeAsync(LlamaProcess llama, int batch, int steps) => MeasureAsync(
        $"decode, {batch} sequence{(batch > 1 ? "s" : "")}",
        batch * steps,
        _ => engine.GenerateSecondsAsync(batch, steps, 16, cancel),
        _ => llama.SecondsAsync(new { run = "generate", batch, steps, start = 16 }, cancel),
        steps * floor.StepSeconds(shape, batch));

    public Task AdaptersAsync(LlamaProcess llama, string[] paths, int length, int steps) => MeasureAsync(
        $"{paths.Length} adapters, {length} + {steps} tokens",
        paths.Length * (length + steps),
        round => engine.AdaptersSecondsAsync(paths.Length, length, round == 0 ? 2 : steps, cancel),
        round => llama.SecondsAsync(new { run = "adapters", paths, length = round == 0 ? 2 : length, steps = round == 0 ? 2 : steps }, cancel),
        (paths.Length * length / 512.0 * floor.StepSeconds(shape, 512, allLogits: false)) + (steps * floor.StepSeconds(shape, paths.Length)));

    /// <param name="name">Of the row.</param>
    /// <param name="tokens">Of one round.</param>
    /// <param name="ours">Gets the round; round 0 warms up and may do less.</param>
    /// <param name="theirs">Likewise.</param>
    /// <param name="least">Seconds of the floor.</param>
    private async Task MeasureAsync(string name, int tokens, Func<int, Task<double>> ours, Func<int, Task<double>> theirs, double least)
    {
        await ours(0);
        await theirs(0);
        var pairs = new List<(double Ours, double Theirs)>();
        for (int round = 1; round <= rounds; round++)
            pairs.Add((await ours(round), await theirs(round)));

        double engineSeconds = Statistics.Median(pairs.Select(p => p.Ours)), llamaSeconds = Statistics.Median(pairs.Select(p => p.Theirs));
        Console.WriteLine(
            $"| {name} | {tokens / engineSeconds:F0} | {tokens / llamaSeconds:F0} | {Statistics.Median(pairs.Select(p => p.Theirs / p.Ours)):F2} | " +
            $"{least / engineSeconds:F2} | {least / llamaSeconds:F2} |");
    }
}
