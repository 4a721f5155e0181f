using Eigengate.Cli.Tests.Support;

namespace Eigengate.Cli.Tests;

public sealed class HelpTests
{
    [Theory]
    [InlineData("serve")]
    [InlineData("gateway")]
    [InlineData("node")]
    [InlineData("compress")]
    [InlineData("plan")]
    [InlineData("inspect")]
    [InlineData("project")]
    [InlineData("recompress")]
    [InlineData("compose")]
    [InlineData("export")]
    [InlineData("report")]
    public async Task Help_explains_the_command_and_shows_an_example(string command)
    {
        string help = (await CommandRun.OfAsync(command, "--help")).Succeeded().Output;
        Assert.Contains("Usage:", help, StringComparison.Ordinal);
        Assert.Contains($"Example:  eigengate {command} ", help, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_command_the_way_to_start_is_shown()
    {
        CommandRun run = await CommandRun.OfAsync();
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("Start here:", run.Output + run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public Task A_mistyped_option_is_named() => CommandRun.RefusedAsync(["compress", "--adapters", "a", "--out", "b", "--rnak", "4"], "--rnak");
}
