using System.Text.Json;
using Eigengate.Integration.Tests;

namespace Eigengate.Cli.Tests.Support;

/// <summary>One run of the real `eigengate` from start to end.</summary>
internal sealed record CommandRun(int ExitCode, string Output, string Error)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    public static async Task<CommandRun> OfAsync(params IEnumerable<string> arguments)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        await using EigengateProcess process = EigengateProcess.Start(arguments);
        int exitCode = await process.ExitAsync(limit.Token);
        return new CommandRun(exitCode, process.StandardOutput, process.StandardError);
    }

    /// <summary>Exit code 1, a message on standard error with every fragment, no stack trace, nothing on standard output but help.</summary>
    public static async Task RefusedAsync(string[] arguments, params string[] fragments)
    {
        CommandRun run = await OfAsync(arguments);
        Assert.Equal(1, run.ExitCode);
        Assert.All(fragments, fragment => Assert.Contains(fragment, run.Error, StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", run.Error, StringComparison.Ordinal);
    }

    public CommandRun Succeeded()
    {
        Assert.True(ExitCode == 0, $"exit code {ExitCode}\n{Output}\n{Error}");
        return this;
    }
}
