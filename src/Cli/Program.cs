using System.CommandLine;
using System.CommandLine.Parsing;
using Eigengate.Cli;
using Eigengate.Cli.Commands;
using Eigengate.Inference;

var libtorch = new Option<string?>("--libtorch")
{
    Description = "Compute with this libtorch: a PyTorch package folder or a folder with libtorch_cpu.so. By default that of python3. For builds without a libtorch of their own",
    HelpName = "DIR",
    Recursive = true,
};
var root = new RootCommand("""
    Serves thousands of LoRA adapters of one base model at nearly the speed of serving one.

    Start here:   eigengate serve        the demo: one process, an OpenAI-compatible URL, 54 adapters
    Your own:     eigengate compress --adapters DIR --out BUNDLE --model DIR
                  eigengate serve --model DIR --bundle BUNDLE
    """)
{
    ServeCommand.Create(),
    GatewayCommand.Create(),
    NodeCommand.Create(),
    CompressCommand.Create(),
    PlanCommand.Create(),
    InspectCommand.Create(),
    ProjectCommand.Create(),
    RecompressCommand.Create(),
    ComposeCommand.Create(),
    ExportCommand.Create(),
    ReportCommand.Create(),
    libtorch,
};

ParseResult parsed = root.Parse(args);
try
{
    if (parsed.Errors.Count == 0 && parsed.CommandResult.Command.Action == parsed.Action)
        LibTorch.Choose(parsed.GetValue(libtorch), cuda: parsed.GetResult("--device") is OptionResult device && device.GetValueOrDefault<string>() == "cuda");

    // A cancelled command gets this long to clean up behind itself: one fit of a large module, one drain of a node.
    return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromMinutes(1) });
}
catch (OperationCanceledException)
{
    return ExitCode.Cancelled;
}
catch (Exception e) when (ExpectedFailure.Is(e))
{
    Console.Error.WriteLine($"eigengate: {ExpectedFailure.MessageOf(e)}");
    return ExitCode.Refused;
}
