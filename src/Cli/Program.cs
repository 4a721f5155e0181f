using System.CommandLine;
using Eigengate.Cli;
using Eigengate.Cli.Commands;

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
};

ParseResult parsed = root.Parse(args);
try
{
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
