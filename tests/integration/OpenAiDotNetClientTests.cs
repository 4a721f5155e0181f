using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;

namespace Eigengate.Integration.Tests;

/// <summary>The official OpenAI .NET SDK, used as its users do: a changed endpoint and nothing else.</summary>
public class OpenAiDotNetClientTests(DemoServer demo)
{
    private readonly OpenAIClient _client = new(
        new ApiKeyCredential("none"),
        new OpenAIClientOptions { Endpoint = new Uri(demo.Gateway, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });

    private readonly DemoTask _task = demo.Tasks.Tasks.First(t => t.Id == "reverse");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Listing_models_shows_the_base_and_every_adapter()
    {
        OpenAIModelCollection models = await _client.GetOpenAIModelClient().GetModelsAsync(Cancel);
        Assert.Equal(demo.BaseModel, models[0].Id);
        Assert.Equal(demo.Tasks.Tasks.Select(t => t.Id).Order(), models.Skip(1).Select(m => m.Id).Order());
    }

    [Fact]
    public async Task Retrieving_a_model_returns_its_card()
    {
        OpenAIModel model = await _client.GetOpenAIModelClient().GetModelAsync("reverse", Cancel);
        Assert.Equal("reverse", model.Id);
    }

    [Fact]
    public async Task A_chat_completion_shows_the_adapters_skill()
    {
        foreach (DemoItem item in _task.Items.Take(5))
        {
            ChatCompletion answer = await Chat(_task.Id).CompleteChatAsync([Question(item)], Greedy, Cancel);
            Assert.Equal(item.Answer, answer.Content[0].Text.Trim());
            Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
            Assert.Equal(answer.Usage.TotalTokenCount, answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount);
        }
    }

    [Fact]
    public async Task A_streamed_chat_completion_adds_up_to_the_whole_answer()
    {
        DemoItem item = _task.Items[0];
        string text = "";
        ChatFinishReason? finish = null;
        await foreach (StreamingChatCompletionUpdate update in Chat(_task.Id).CompleteChatStreamingAsync([Question(item)], Greedy, Cancel))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            finish ??= update.FinishReason;
        }

        Assert.Equal(item.Answer, text.Trim());
        Assert.Equal(ChatFinishReason.Stop, finish);
    }

    [Fact]
    public async Task Log_probabilities_name_the_most_likely_token_first()
    {
        var options = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 4, IncludeLogProbabilities = true, TopLogProbabilityCount = 2 };
        ChatCompletion answer = await Chat(_task.Id).CompleteChatAsync([Question(_task.Items[0])], options, Cancel);
        Assert.Equal(4, answer.ContentTokenLogProbabilities.Count);
        Assert.All(answer.ContentTokenLogProbabilities, token =>
        {
            Assert.Equal(2, token.TopLogProbabilities.Count);
            Assert.Equal(token.LogProbability, token.TopLogProbabilities[0].LogProbability);
            Assert.True(token.LogProbability <= 0 && token.TopLogProbabilities[1].LogProbability <= token.LogProbability);
        });
    }

    [Fact]
    public async Task An_unknown_model_is_a_404_with_the_servers_message()
    {
        var error = await Assert.ThrowsAsync<ClientResultException>(() => Chat("no-such-adapter").CompleteChatAsync([new UserChatMessage("hello")], Greedy, Cancel));
        Assert.Equal(404, error.Status);
        Assert.Contains("no-such-adapter", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_out_of_range_is_a_400_that_names_the_field()
    {
        var options = new ChatCompletionOptions { Temperature = 9 };
        var error = await Assert.ThrowsAsync<ClientResultException>(() => Chat("reverse").CompleteChatAsync([new UserChatMessage("hello")], options, Cancel));
        Assert.Equal(400, error.Status);
        Assert.Contains("temperature", error.Message, StringComparison.Ordinal);
    }

    private static ChatCompletionOptions Greedy => new() { Temperature = 0, MaxOutputTokenCount = 32 };

    private static UserChatMessage Question(DemoItem item) => new(item.Prompt.Replace(" ->", "", StringComparison.Ordinal));

    private ChatClient Chat(string model) => _client.GetChatClient(model);
}
