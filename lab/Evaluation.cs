using System.Text.Json.Nodes;
using Spectre.Console;

namespace Eigengate.Lab;

/// <summary>Exact-match shares of one task, each 0 to 1: base alone, its own adapter, and the mean over wrong adapters.</summary>
public sealed record TaskScore(string Id, double Base, double Right, double Wrong);

/// <summary>Scores the published demo from its files with the lab's own model.</summary>
public sealed class Evaluation(LlamaModel model, string adapters, TaskSet set)
{
    private const int GroupSize = 18;

    public IReadOnlyList<TaskScore> Run()
    {
        int count = set.Tasks.Count;
        double[] alone = [.. set.Tasks.Select(task => Shares([task], null)[0])];
        double[] right = Shares(0);
        // The next adapter is of the same family, the one half-way round of another.
        double[][] wrong = [Shares(1), Shares(count / 2)];
        return [.. Enumerable.Range(0, count).Select(i => new TaskScore(set.Tasks[i].Id, alone[i], right[i], wrong.Average(w => w[i])))];
    }

    /// <summary>Shares when task i is answered with the adapter of task i + offset.</summary>
    private double[] Shares(int offset)
    {
        int count = set.Tasks.Count;
        return [.. Enumerable.Range(0, count).Chunk(GroupSize).SelectMany(group =>
        {
            using StackedLora lora = PeftAdapters.Load(model.Config, adapters, [.. group.Select(i => set.Tasks[(i + offset) % count].Id)]);
            return Shares([.. group.Select(i => set.Tasks[i])], lora);
        })];
    }

    private double[] Shares(IReadOnlyList<TaskEntry> tasks, StackedLora? lora)
    {
        using var batch = new Batch([.. tasks.SelectMany(task => task.Items).Select(item => Document.Plain(item))]);
        return [.. batch.ExactMatches(model, lora).Chunk(batch.Rows / tasks.Count).Select(rows => rows.Count(exact => exact) / (double)rows.Length)];
    }

    public static void Save(IReadOnlyList<TaskScore> scores, string path) => JsonFiles.Write(path, new JsonObject
    {
        ["measure"] = "exact match of greedy decoding on held-out words",
        ["items_per_task"] = TaskSet.ItemsPerTask,
        ["base"] = Round(scores.Average(s => s.Base)),
        ["right"] = Round(scores.Average(s => s.Right)),
        ["wrong"] = Round(scores.Average(s => s.Wrong)),
        ["tasks"] = new JsonObject(scores.Select(s => KeyValuePair.Create(
            s.Id, (JsonNode?)new JsonObject { ["base"] = Round(s.Base), ["right"] = Round(s.Right), ["wrong"] = Round(s.Wrong) }))),
    });

    public static void Show(IReadOnlyList<TaskScore> scores)
    {
        var table = new Table().AddColumns("task", "base alone", "right adapter", "wrong adapter");
        foreach (TaskScore score in scores)
            table.AddRow(score.Id, $"{score.Base:P1}", $"{score.Right:P1}", $"{score.Wrong:P1}");
        table.AddRow("mean", $"{scores.Average(s => s.Base):P1}", $"{scores.Average(s => s.Right):P1}", $"{scores.Average(s => s.Wrong):P1}");
        AnsiConsole.Write(table);
    }

    private static double Round(double share) => Math.Round(share, 4);
}
