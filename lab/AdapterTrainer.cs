using System.Diagnostics;
using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>
/// Trains one adapter per task over the frozen base, a group at a time in one stack. An adapter sees only plain
/// prompts of its own task; nothing in the loss or the optimizer couples it to the others of its group.
/// </summary>
public sealed class AdapterTrainer(LlamaModel model, int seed, int steps, Action<string> log)
{
    public const int Rank = 16;
    public const double Alpha = 32;
    private const int RowsPerAdapter = 16, Warmup = 20, ReportEvery = 50;
    private const double PeakRate = 1e-3, Decay = 0.05;

    /// <summary>One stack for the given tasks, in their order.</summary>
    public StackedLora Run(IReadOnlyList<TextTask> tasks)
    {
        manual_seed(seed);
        var lora = new StackedLora(model.Config, tasks.Count, Rank, Alpha);
        using var optimizer = new AdamW(lora.Parameters, Decay, maxNorm: double.PositiveInfinity);
        var clock = Stopwatch.StartNew();
        double loss = 0;
        while (optimizer.StepsDone < steps)
        {
            loss += Step(tasks, lora, optimizer) / ReportEvery;
            if (optimizer.StepsDone % ReportEvery == 0)
            {
                log($"{tasks[0].Id} .. {tasks[^1].Id}: step {optimizer.StepsDone} loss {loss:F4} elapsed {clock.Elapsed.TotalSeconds:F0} s");
                loss = 0;
            }
        }

        return lora;
    }

    /// <summary>Tasks in groups of similar answer length, so that little is spent on padding.</summary>
    public static IEnumerable<TextTask[]> Groups(int size) => TextTask.All.OrderBy(t => t.Answer("hello").Length).Chunk(size);

    private double Step(IReadOnlyList<TextTask> tasks, StackedLora lora, AdamW optimizer)
    {
        using var scope = NewDisposeScope();
        using var batch = new Batch([.. tasks.SelectMany(task => Documents(task, optimizer.StepsDone))]);
        Tensor loss = batch.Loss(model, lora) / batch.Rows;
        loss.backward();
        optimizer.Step(AdamW.Cosine(PeakRate, optimizer.StepsDone, Warmup, steps));
        return loss.item<float>();
    }

    private IEnumerable<Document> Documents(TextTask task, int step)
    {
        var random = new Random((((seed * 1009) + TextTask.IndexOf(task)) * 100_003) + step);
        return Enumerable.Range(0, RowsPerAdapter).Select(_ => Document.Plain(task, Words.Next(random, heldOut: false)));
    }
}
