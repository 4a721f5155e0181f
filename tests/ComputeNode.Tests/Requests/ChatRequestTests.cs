using System.Text;
using System.Text.Json;
using Eigengate.ComputeNode.Requests;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Tests.Requests;

public sealed class ChatRequestTests
{
    private const string Tool = """{"type": "function", "function": {"name": "add", "parameters": {}}}""";

    /// <summary>Fields added to a valid body; status is 400 throughout. Type S: schema ("Bad Request"), B: semantic ("BadRequestError").</summary>
    public static TheoryData<string, string, string, string> RefusedFields => new()
    {
        { "\"max_tokens\": 0", "B", "max_tokens", "at least 1" },
        { "\"max_tokens\": 5, \"max_completion_tokens\": 0", "B", "max_completion_tokens", "at least 1" },
        { "\"max_completion_tokens\": \"5\"", "S", "max_completion_tokens", "expected an integer" },
        { "\"logprobs\": 5", "S", "logprobs", "expected a boolean" },
        { "\"top_logprobs\": 2", "B", "top_logprobs", "needs logprobs: true" },
        { "\"top_logprobs\": 2, \"logprobs\": false", "B", "top_logprobs", "needs logprobs: true" },
        { "\"top_logprobs\": 21, \"logprobs\": true", "B", "top_logprobs", "[0, 20], got 21" },
        { "\"top_logprobs\": -1, \"logprobs\": true", "B", "top_logprobs", "got -1" },
        { "\"top_logprobs\": \"2\", \"logprobs\": true", "S", "top_logprobs", "expected an integer" },
        { "\"chat_template\": \"{{ messages }}\"", "B", "chat_template", "does not offer" },
        { "\"chat_template_kwargs\": [1]", "S", "chat_template_kwargs", "expected an object" },
        { "\"chat_template_kwargs\": {\"messages\": []}", "B", "chat_template_kwargs", "cannot set messages" },
        { "\"continue_final_message\": true, \"add_generation_prompt\": true", "B", "continue_final_message", "cannot both be true" },
        { "\"add_generation_prompt\": 1", "S", "add_generation_prompt", "expected a boolean" },
        { "\"tools\": []", "B", "tools", "empty" },
        { "\"tools\": {}", "S", "tools", "expected an array" },
        { "\"tools\": [1]", "S", "tools.0", "expected an object" },
        { "\"tools\": [{\"type\": \"function\"}]", "S", "tools.0.function", "got nothing" },
        { "\"tools\": [{\"function\": {}}]", "S", "tools.0.function.name", "got nothing" },
        { $"\"tools\": [{Tool}]", "B", "tool_choice", "auto, the default with tools" },
        { $"\"tools\": [{Tool}], \"tool_choice\": \"auto\"", "B", "tool_choice", "does not offer" },
        { $"\"tools\": [{Tool}], \"tool_choice\": \"required\"", "B", "tool_choice", "does not offer" },
        { $"\"tools\": [{Tool}], \"tool_choice\": \"always\"", "S", "tool_choice", "'none', 'auto', 'required'" },
        { $"\"tools\": [{Tool}], \"tool_choice\": {Tool}", "B", "tool_choice", "function 'add'" },
        { $"\"tools\": [{Tool}], \"tool_choice\": {{\"function\": {{\"name\": \"sub\"}}}}", "B", "tool_choice", "no tool 'sub'" },
        { "\"tool_choice\": \"auto\"", "B", "tool_choice", "does not offer" },
        { "\"parallel_tool_calls\": 1", "S", "parallel_tool_calls", "expected a boolean" },
        { "\"temperature\": 3", "B", "temperature", "[0, 2]" },
        { "\"stream_options\": {\"include_usage\": true}", "B", "stream_options", "stream: true" },
        { "\"use_beam_search\": true", "B", "use_beam_search", "does not offer" },
        { "\"response_format\": {\"type\": \"structural_tag\"}", "B", "response_format", "structural_tag" },
    };

    public static TheoryData<string, string, string> RefusedMessages => new()
    {
        { "null", "S", "messages" },
        { "\"hi\"", "S", "messages" },
        { "[]", "B", "messages" },
        { "[\"hi\"]", "S", "messages.0" },
        { """[{"content": "a"}]""", "S", "messages.0.role" },
        { """[{"role": "", "content": "a"}]""", "B", "messages.0.role" },
        { """[{"role": "user"}]""", "B", "messages.0.content" },
        { """[{"role": "user", "content": "a"}, {"role": "assistant", "content": null}]""", "B", "messages.1.content" },
        { """[{"role": "assistant", "tool_calls": []}]""", "B", "messages.0.content" },
        { """[{"role": "user", "content": 5}]""", "S", "messages.0.content" },
        { """[{"role": "user", "content": [5]}]""", "S", "messages.0.content.0" },
        { """[{"role": "user", "content": [{"text": "a"}]}]""", "S", "messages.0.content.0.type" },
        { """[{"role": "user", "content": [{"type": "text"}]}]""", "S", "messages.0.content.0.text" },
        { """[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "b"}}]}]""", "B", "messages.0.content.1" },
        { """[{"role": "assistant", "tool_calls": {}}]""", "S", "messages.0.tool_calls" },
        { """[{"role": "assistant", "tool_calls": [{"id": "1"}]}]""", "S", "messages.0.tool_calls.0.function" },
        { """[{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]""", "B", "messages.0.tool_calls.0.function.arguments" },
    };

    [Theory]
    [MemberData(nameof(RefusedFields))]
    public void Refuses_AndNamesTheField(string field, string type, string param, string fragment)
    {
        ApiError error = Refused($$"""{"messages": [{"role": "user", "content": "a"}], {{field}}}""");
        Assert.Equal((400, type == "S" ? "Bad Request" : "BadRequestError", param), (error.Status, error.Type, error.Param));
        Assert.Contains(fragment, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(RefusedMessages))]
    public void RefusesAMessage_AtItsPath(string messages, string type, string param)
    {
        ApiError error = Refused($$"""{"messages": {{messages}}}""");
        Assert.Equal((400, type == "S" ? "Bad Request" : "BadRequestError", param), (error.Status, error.Type, error.Param));
    }

    [Fact]
    public void NothingToContinue_IsRefused() =>
        Assert.Equal("messages", Refused("""{"messages": [{"role": "assistant", "content": " "}], "continue_final_message": true}""").Param);

    [Fact]
    public void MaxCompletionTokens_WinsOverMaxTokens_AndBothMayBeAbsent()
    {
        Assert.Equal((7L, "max_completion_tokens"), MaxTokens("\"max_tokens\": 5, \"max_completion_tokens\": 7"));
        Assert.Equal((5L, "max_tokens"), MaxTokens("\"max_tokens\": 5, \"max_completion_tokens\": null"));
        Assert.Equal((null, "max_tokens"), MaxTokens("\"max_tokens\": null"));

        static (long?, string) MaxTokens(string fields)
        {
            GenerationFields read = Read($$"""{"messages": [{"role": "user", "content": "a"}], {{fields}}}""").Fields;
            return (read.MaxTokens, read.MaxTokensField);
        }
    }

    [Fact]
    public void Logprobs_CountTheirTopTokens()
    {
        Assert.Null(Read("""{"messages": [{"role": "user", "content": "a"}], "top_logprobs": 0}""").Fields.Logprobs);
        Assert.Equal(0, Read("""{"messages": [{"role": "user", "content": "a"}], "logprobs": true}""").Fields.Logprobs);
        Assert.Equal(3, Read("""{"messages": [{"role": "user", "content": "a"}], "logprobs": true, "top_logprobs": 3.0}""").Fields.Logprobs);
    }

    [Fact]
    public void TextParts_AreJoinedByNewlines_AndOtherFieldsKept()
    {
        ChatMessage message = Read("""{"messages": [{"role": "tool", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"], "tool_call_id": "7", "tool_call_id": "8"}]}""").Prompt.Messages[0];
        Assert.Equal("a\nb\nc", message.Text);
        Assert.Equal("8", ((JsonElement)message.Others["tool_call_id"]!).GetString());
    }

    [Fact]
    public void OpenLastMessage_HasNoGenerationPromptByDefault()
    {
        ChatPrompt prompt = Read("""{"messages": [{"role": "assistant", "content": "a"}], "continue_final_message": true}""").Prompt;
        Assert.Equal((true, false), (prompt.ContinueFinalMessage, prompt.AddGenerationPrompt));
    }

    [Fact]
    public void UnknownAndTransportFields_AreIgnored() => Read("""
        {"messages": [{"role": "user", "content": "a", "made_up": 1}], "user": "u", "metadata": {}, "store": true, "service_tier": "auto", "modalities": ["text"],
         "made_up": [1], "tools": null, "tool_choice": "none", "parallel_tool_calls": true, "logprobs": null, "verbosity": "low"}
        """);

    private static ChatRequest Read(string body)
    {
        using JsonDocument document = RequestBody.Parse(Encoding.UTF8.GetBytes(body));
        return ChatRequest.Read(document.RootElement, new RequestLimits());
    }

    private static ApiError Refused(string body) => Assert.Throws<ApiException>(() => Read(body)).Error;
}
