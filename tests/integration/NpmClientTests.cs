namespace Eigengate.Integration.Tests;

public class NpmClientTests(DemoServer demo)
{
    [Fact]
    public async Task The_npm_openai_client_lists_completes_streams_scores_and_reads_errors()
    {
        string folder = Path.Combine(Repository.Root, "tests", "integration", "npm-client");
        Assert.SkipUnless(Directory.Exists(Path.Combine(folder, "node_modules", "openai")), "the npm package 'openai' is not installed: run `npm ci` in tests/integration/npm-client");

        DemoTask task = demo.Tasks.Tasks.First(t => t.Id == "reverse");
        (int exitCode, string output) = await Command.RunAsync(
            "node", ["client.mjs", new Uri(demo.Gateway, "/v1").ToString(), demo.BaseModel, task.Id, task.Items[0].Prompt, task.Items[0].Answer], folder);
        Assert.True(exitCode == 0, output);
        Assert.Contains("ok - ", output, StringComparison.Ordinal);
    }
}
