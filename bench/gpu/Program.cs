using System.CommandLine;
using Eigengate.Gpu;
using Eigengate.Inference;

var device = new Option<string>("--device") { Description = "cpu or cuda", DefaultValueFactory = _ => "cuda", Recursive = true };
var libtorch = new Option<string?>("--libtorch") { Description = "PyTorch package folder; by default python3's", Recursive = true };
var scale = new Option<string>("--shape") { Description = "Model shape: tiny, 135m, 1.1b or 7b; by default the largest that fits the free device memory" };
var work = new Option<string>("--work") { Description = "Folder for the random model", DefaultValueFactory = _ => Path.GetTempPath() };
var report = new Option<string>("--report") { Description = "Path of the report, without extension", DefaultValueFactory = _ => "gpu-report" };
var tokens = new Option<int>("--tokens") { Description = "Tokens that each sequence generates", DefaultValueFactory = _ => 64 };

var smoke = new Command("smoke", "Loads libtorch, names functions that it lacks, and compares operations of the device with the CPU");
smoke.SetAction(options => Run(options, () => Smoke.Run(options.GetValue(device)!)));
var check = new Command("check", "Runs small random models on the device in every way and compares the tokens and their log-probabilities");
check.SetAction((options, cancel) => RunAsync(options, () => Check.RunAsync(options.GetValue(device)!, cancel)));
var speed = new Command("speed", "Measures decoding and writes the tables as Markdown and JSON") { scale, work, report, tokens };
speed.SetAction((options, cancel) => RunAsync(options, () => new SpeedReport(options.GetValue(device)!, options.GetValue(tokens)).RunAsync(
    options.GetValue(scale), options.GetValue(work)!, options.GetValue(report)!, cancel)));

var root = new RootCommand("Checks and measures the engine on a machine with PyTorch and, usually, a GPU") { device, libtorch, smoke, check, speed };
return await root.Parse(args).InvokeAsync();

int Run(ParseResult options, Func<bool> action)
{
    LibTorch.Choose(options.GetValue(libtorch), options.GetValue(device) == "cuda");
    return action() ? 0 : 1;
}

async Task<int> RunAsync(ParseResult options, Func<Task<bool>> action)
{
    LibTorch.Choose(options.GetValue(libtorch), options.GetValue(device) == "cuda");
    return await action() ? 0 : 1;
}
