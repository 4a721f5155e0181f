using System.Text.Json;

namespace Eigengate.Lab;

/// <summary>A held-out prompt and the only accepted answer.</summary>
public sealed record TaskItem(string Prompt, string Answer)
{
    /// <summary>Whether a completion is the answer; the space that separates it from the prompt does not count.</summary>
    public bool IsExactMatch(string completion) => completion.Trim(' ') == Answer;
}

/// <summary>One adapter's task as published in tasks.json.</summary>
public sealed record TaskEntry(string Id, string Family, string Description, TaskItem Example, IReadOnlyList<TaskItem> Items);

/// <summary>The published tasks with their held-out items: demo/tasks.json.</summary>
public sealed record TaskSet(IReadOnlyList<TaskEntry> Tasks)
{
    public const int ItemsPerTask = 64;
    private const string ExampleWord = "hello";

    /// <summary>The same items on every call: distinct held-out words per task.</summary>
    public static TaskSet Create() => new([.. TextTask.All.Select((task, index) =>
    {
        var random = new Random(1000 + index);
        var words = new HashSet<string>();
        while (words.Count < ItemsPerTask)
            words.Add(Words.Next(random, heldOut: true));
        return new TaskEntry(task.Id, task.Family, task.Description, Item(task, ExampleWord), [.. words.Select(word => Item(task, word))]);
    })]);

    public static TaskSet Load(string path) =>
        new(JsonSerializer.Deserialize<TaskEntry[]>(File.ReadAllText(path), JsonFiles.Compact) ?? throw new InvalidDataException($"{path}: no tasks"));

    public void Save(string path) => JsonFiles.WriteLines(path, Tasks);

    /// <summary>Share of a task's items, 0 to 1, that a completion function answers exactly.</summary>
    public static double ExactMatch(TaskEntry task, Func<string, string> complete) =>
        task.Items.Count(item => item.IsExactMatch(complete(item.Prompt))) / (double)task.Items.Count;

    private static TaskItem Item(TextTask task, string word) => new(TextTask.Prompt(word), task.Answer(word));
}
