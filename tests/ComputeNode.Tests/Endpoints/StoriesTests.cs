using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>A node with a real trained model, against reference outputs of independent implementations.</summary>
public sealed class StoriesTests(SharedIndex index)
{
    [Fact]
    public async Task RealModel_ContinuesAndScoresLikeTheReference()
    {
        string folder = SharedData.Model("stories260k");
        await using RunningNode node = await RunningNode.StartAsync(index, (options, _) => options with { ModelDirectory = folder, ServedModelNames = ["stories", "alias"] });
        JsonNode reference = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(folder, "reference.json"), TestContext.Current.CancellationToken))!["references"]![0]!;

        JsonNode answer = await node.CompleteAsync(new { model = "alias", prompt = (string)reference["prompt"]!, max_tokens = 60, temperature = 0, echo = true });
        Assert.Equal((string)reference["greedy_text_60"]!, RunningNode.TextOf(answer));
        Assert.Equal("alias", (string)answer["model"]!);

        JsonNode streamed = await node.CompleteAsync(new { prompt = "Once upon a time", max_tokens = 5, temperature = 0 });
        Assert.StartsWith(", there", RunningNode.TextOf(streamed), StringComparison.Ordinal);
        Assert.Equal("stories", (string)streamed["model"]!);
    }
}
