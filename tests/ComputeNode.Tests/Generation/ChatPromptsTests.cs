using System.Text;
using System.Text.Json;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Tests.Generation;

public sealed class ChatPromptsTests : IDisposable
{
    private const string Loop = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}";
    private const string PartsOnly = "{% for m in messages %}{% for part in m.content %}({{ part.text }}){% endfor %}{% endfor %}";
    private const string Either = "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}({{ part.text }}){% endfor %}{% endif %}{% endfor %}";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("chat-test-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(Loop, "\"one\"", "<user>one</user>")]
    [InlineData(Loop, """[{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]""", "<user>one\ntwo</user>")]
    [InlineData(PartsOnly, "\"one\"", "(one)")]
    [InlineData(PartsOnly, """[{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]""", "(one)(two)")]
    [InlineData(Either, "\"one\"", "one")]
    [InlineData(Either, """[{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]""", "(one)(two)")]
    public void Content_ComesInTheFormTheTemplateTakes(string template, string content, string expected) =>
        Assert.Equal(expected, Render(template, $$"""{"messages": [{"role": "user", "content": {{content}}}]}"""));

    [Theory]
    [InlineData(Loop, "so far ", "<assistant>so far ")]
    [InlineData("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</{{ m.role }}>{% endfor %}", "so far ", "<assistant>so far")]
    [InlineData(PartsOnly, "so far", "(so far")]
    [InlineData("{{ messages[0].content }} and {{ messages[-1].content | tojson }}", "x<y", "x<y")]
    public void ContinuedMessage_StaysOpen(string template, string content, string ending)
    {
        string body = JsonSerializer.Serialize(new { messages = new[] { new { role = "assistant", content } }, continue_final_message = true });
        string text = Render(template, body);
        Assert.EndsWith(ending, text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{{ raise_exception('Only poems.') }}", "Only poems.")]
    [InlineData("{{ messages[0].content.missing.field }}", "chat template cannot render")]
    [InlineData("{% for i in range(99999999) %}x{% endfor %}", "chat template cannot render")]
    [InlineData("", "makes nothing")]
    public void WhatTheTemplateRefuses_IsARefusalOfTheMessages(string template, string fragment)
    {
        ApiError error = Assert.Throws<ApiException>(() => Render(template, """{"messages": [{"role": "user", "content": "a"}]}""")).Error;
        Assert.Equal((400, "BadRequestError", "messages"), (error.Status, error.Type, error.Param));
        Assert.Contains(fragment, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MessageTheTemplateLeavesOut_CannotBeContinued() => Assert.Contains(
        "does not show the last message",
        Assert.Throws<ApiException>(() => Render("fixed", """{"messages": [{"role": "assistant", "content": "a"}], "continue_final_message": true}""")).Error.Message,
        StringComparison.Ordinal);

    [Fact]
    public void Variables_ReachTheTemplate_AndWinOverSpecialTokens() => Assert.Equal(
        "<s>|True|7|[]",
        Render("{{ bos_token }}|{{ thinking }}|{{ reasoning_effort }}|{{ documents }}", """{"messages": [{"role": "user", "content": "a"}], "chat_template_kwargs": {"thinking": true, "bos_token": "<s>"}, "reasoning_effort": 7, "documents": []}"""));

    [Fact]
    public void ToolsTemplate_IsTakenWithTools_AndSeesArgumentsAsObjects()
    {
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "additional_chat_templates"));
        File.WriteAllText(Path.Combine(_folder.FullName, "additional_chat_templates", "tool_use.jinja"), "{{ tools[0].function.name }} {{ messages[0].tool_calls[0].function.arguments.x }} {{ messages[0].content }}");
        const string Body = """
            {"messages": [{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "add", "arguments": "{\"x\": 3}"}}]}],
             "tools": [{"function": {"name": "add"}}], "tool_choice": "none"}
            """;
        Assert.Equal("add 3 None", Render("no tools here", Body));
    }

    [Fact]
    public void FolderWithoutTemplate_HasNone() => Assert.Null(ChatPrompts.Load(_folder.FullName));

    private string Render(string template, string body)
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "chat_template.jinja"), template);
        File.WriteAllText(Path.Combine(_folder.FullName, "tokenizer_config.json"), """{"bos_token": "<b>"}""");
        using JsonDocument document = RequestBody.Parse(Encoding.UTF8.GetBytes(body));
        return ChatPrompts.Load(_folder.FullName)!.Render(ChatPrompt.Read(new JsonFields(document.RootElement)), TestContext.Current.CancellationToken);
    }
}
