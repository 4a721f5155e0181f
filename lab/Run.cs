using Spectre.Console;

namespace Eigengate.Lab;

/// <summary>The lab's verbs over one demo folder.</summary>
internal sealed record Run(string Demo, int Seed, int Steps, int AdapterSteps, int GroupSize)
{
    private string Base => Path.Combine(Demo, "base");

    private string AdapterFolder => Path.Combine(Demo, "adapters");

    private string Tasks => Path.Combine(Demo, "tasks.json");

    public void Pretrain()
    {
        Directory.CreateDirectory(Demo);
        string checkpoint = Path.Combine(Demo, "pretrain.checkpoint");
        using LlamaModel model = new Pretrainer(Seed, Steps, checkpoint, AnsiConsole.WriteLine).Run(new LlamaConfig());
        BaseFiles.Save(model, Base);
        File.Delete(checkpoint);
    }

    public void Adapters()
    {
        using LlamaModel model = LoadBase();
        model.Freeze();
        var trainer = new AdapterTrainer(model, Seed, AdapterSteps, AnsiConsole.WriteLine);
        foreach (TextTask[] group in AdapterTrainer.Groups(GroupSize))
        {
            using StackedLora lora = trainer.Run(group);
            PeftAdapters.Save(lora, AdapterFolder, [.. group.Select(task => task.Id)]);
        }

        TaskSet.Create().Save(Tasks);
    }

    public void Evaluate()
    {
        using LlamaModel model = LoadBase();
        IReadOnlyList<TaskScore> scores = new Evaluation(model, AdapterFolder, TaskSet.Load(Tasks)).Run();
        Evaluation.Save(scores, Path.Combine(Demo, "scores.json"));
        Evaluation.Show(scores);
    }

    private LlamaModel LoadBase() => BaseFiles.Load(Base, new LlamaConfig());
}
