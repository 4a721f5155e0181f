using System.Diagnostics;
using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>
/// Trains the base on all tasks at once. A task token in the place of the start token says which task it is; one
/// document in ten has the plain start token and a random task, so the base alone can only guess.
/// </summary>
public sealed class Pretrainer(int seed, int steps, string checkpoint, Action<string> log)
{
    private const int Rows = 192, MicroRows = 64, Warmup = 200, ReportEvery = 100, EvaluateEvery = 500;
    private const double PeakRate = 2.5e-3, Decay = 0.05;

    public LlamaModel Run(LlamaConfig config)
    {
        manual_seed(seed);
        var model = new LlamaModel(config);
        using var optimizer = new AdamW(model.Weights, Decay, maxNorm: 1);
        if (File.Exists(checkpoint))
            optimizer.Load(checkpoint);

        var clock = Stopwatch.StartNew();
        double loss = 0;
        while (optimizer.StepsDone < steps)
        {
            loss += Step(model, optimizer) / ReportEvery;
            if (optimizer.StepsDone % ReportEvery == 0)
            {
                log($"step {optimizer.StepsDone} loss {loss:F4} elapsed {clock.Elapsed.TotalSeconds:F0} s");
                loss = 0;
            }

            if (optimizer.StepsDone % EvaluateEvery == 0)
            {
                log("exact match, held out: " + string.Join(' ', Accuracy(model).Select(a => $"{a.Task.Id} {a.Share:P0}")));
                optimizer.Save(checkpoint);
            }
        }

        return model;
    }

    /// <summary>Exact match on held-out words with the task token given, per task.</summary>
    public static IReadOnlyList<(TextTask Task, double Share)> Accuracy(LlamaModel model, int words = 32)
    {
        var result = new List<(TextTask, double)>();
        for (int task = 0; task < TextTask.All.Count; task++)
        {
            var random = new Random(task);
            using var batch = new Batch([.. Enumerable.Range(0, words).Select(_ => TaskDocument(random, task, heldOut: true))]);
            result.Add((TextTask.All[task], batch.ExactMatches(model).Count(exact => exact) / (double)words));
        }

        return result;
    }

    private double Step(LlamaModel model, AdamW optimizer)
    {
        // Seeded by the step, so that a resumed run sees the same documents.
        var random = new Random(seed * 1_000_003 + optimizer.StepsDone);
        Document[] documents = [.. Enumerable.Range(0, Rows).Select(_ => NextDocument(random))];
        int targets = documents.Sum(d => d.Answer.Length);
        double total = 0;
        foreach (Batch batch in Batch.ByLength(documents, MicroRows))
        {
            using var scope = NewDisposeScope();
            using (batch)
            {
                Tensor loss = batch.Loss(model) / targets;
                loss.backward();
                total += loss.item<float>();
            }
        }

        optimizer.Step(AdamW.CosineWithCooldown(PeakRate, optimizer.StepsDone, Warmup, steps));
        return total;
    }

    private static Document NextDocument(Random random)
    {
        Document document = TaskDocument(random, random.Next(TextTask.All.Count), heldOut: false);
        if (random.Next(10) == 0)
            document.Prompt[0] = CharTokenizer.Start;
        return document;
    }

    private static Document TaskDocument(Random random, int task, bool heldOut)
    {
        string word = Words.Next(random, heldOut);
        return new(CharTokenizer.EncodePrompt(word, CharTokenizer.FirstTask + task), CharTokenizer.EncodeAnswer(TextTask.All[task].Answer(word)));
    }
}
