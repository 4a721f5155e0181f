using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>The demo's base with the chat template it comes with, which writes the begin token.</summary>
public sealed class DemoChatTests(SharedIndex index)
{
    [Fact]
    public async Task Chat_AnswersLikeTheCompletionOfItsPrompt()
    {
        await using RunningNode node = await RunningNode.StartAsync(index, (options, _) => options with { ModelDirectory = Demo("base") });
        JsonNode chat = await node.ChatAsync(new { messages = new[] { new { role = "user", content = "planet" } }, max_completion_tokens = 12, temperature = 0 });
        JsonNode text = await node.CompleteAsync(new { prompt = "planet ->", max_tokens = 12, temperature = 0 });
        Assert.Equal(RunningNode.TextOf(text), (string)chat["choices"]![0]!["message"]!["content"]!);
        Assert.Equal(text["usage"]!.ToJsonString(), chat["usage"]!.ToJsonString());
    }

    /// <summary>A folder of the repository's demo.</summary>
    private static string Demo(string name)
    {
        DirectoryInfo at = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(at.FullName, "Gateway.sln")))
            at = at.Parent!;
        return Path.Combine(at.FullName, "demo", name);
    }
}
