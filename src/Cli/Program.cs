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
    ExportCommand.Create(),
    ReportCommand.Create(),
};

ParseResult parsed = root.Parse(args);
try
{
    return await parsed.InvokeAsync(new InvocationConfiguration
    {
        EnableDefaultExceptionHandler = false,
        // A fit is not left in the middle, and whoever cancels wants no half-written folder.
        ProcessTerminationTimeout = TimeSpan.FromSeconds(30),
    });
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
