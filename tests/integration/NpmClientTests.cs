using System.Diagnostics;

namespace Eigengate.Integration.Tests;

public class NpmClientTests(DemoServer demo)
{
    [Fact]
    public async Task The_npm_openai_client_lists_completes_streams_scores_and_reads_errors()
    {
        string folder = Path.Combine(Repository.Root, "tests", "integration", "npm-client");
        Assert.SkipUnless(Directory.Exists(Path.Combine(folder, "node_modules", "openai")), "the npm package 'openai' is not installed: run `npm ci` in tests/integration/npm-client");

        DemoTask task = demo.Tasks.Tasks.First(t => t.Id == "reverse");
        var info = new ProcessStartInfo("node", ["client.mjs", new Uri(demo.Gateway, "/v1").ToString(), demo.BaseModel, task.Id, task.Items[0].Prompt, task.Items[0].Answer])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process node = Process.Start(info)!;
        string output = await node.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        string errors = await node.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await node.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(node.ExitCode == 0, output + errors);
        Assert.Contains("ok - ", output, StringComparison.Ordinal);
    }
}
