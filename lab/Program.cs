using System.CommandLine;
using Eigengate.Lab;
using TorchSharp;

var demo = new Option<DirectoryInfo>("--out") { Description = "Demo folder to write and read", DefaultValueFactory = _ => new("demo") };
var seed = new Option<int>("--seed") { Description = "Seed of weights and data", DefaultValueFactory = _ => 1 };
var threads = new Option<int>("--threads") { Description = "Compute threads; part of what must be equal to reproduce bytes", DefaultValueFactory = _ => 1 };
var steps = new Option<int>("--steps") { Description = "Pretraining steps", DefaultValueFactory = _ => 4000 };
var adapterSteps = new Option<int>("--adapter-steps") { Description = "Steps per adapter", DefaultValueFactory = _ => 300 };
var groupSize = new Option<int>("--group") { Description = "Adapters trained in one stack", DefaultValueFactory = _ => 18 };

return new RootCommand("Trains and scores the demo: a small base model and one LoRA adapter per text task.")
{
    Verb("pretrain", "Train the base on all tasks; resumes from a checkpoint", run => run.Pretrain()),
    Verb("adapters", "Train one adapter per task and write tasks.json", run => run.Adapters()),
    Verb("evaluate", "Score base alone, right and wrong adapter; writes scores.json", run => run.Evaluate()),
    Verb("all", "pretrain, adapters, evaluate", run => { run.Pretrain(); run.Adapters(); run.Evaluate(); }),
}.Parse(args).Invoke();

Command Verb(string name, string description, Action<Run> action)
{
    var command = new Command(name, description) { demo, seed, threads, steps, adapterSteps, groupSize };
    command.SetAction(parsed =>
    {
        torch.set_num_threads(parsed.GetValue(threads));
        action(new Run(parsed.GetValue(demo)!.FullName, parsed.GetValue(seed), parsed.GetValue(steps), parsed.GetValue(adapterSteps), parsed.GetValue(groupSize)));
    });
    return command;
}
