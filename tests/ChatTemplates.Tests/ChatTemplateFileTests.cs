namespace Eigengate.ChatTemplates.Tests;

public sealed class ChatTemplateFileTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("chat-template-file-tests");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void Load_NoTemplateAnywhere_IsNull()
    {
        Assert.Null(ChatTemplateFile.Load(_directory.FullName));
        Write("tokenizer_config.json", """{"bos_token": "<s>", "chat_template": null}""");
        Assert.Null(ChatTemplateFile.Load(_directory.FullName));
    }

    [Fact]
    public void Load_TemplateInTokenizerConfig_ComesWithTokensOfBothForms()
    {
        Write("tokenizer_config.json", """
            {"bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": false}, "pad_token": null,
             "chat_template": "{{ bos_token }}"}
            """);
        ChatTemplateFile file = ChatTemplateFile.Load(_directory.FullName)!;
        Assert.Equal(("<s>", "</s>"), (file.BosToken, file.EosToken));
        Assert.Equal(["bos_token", "eos_token"], file.SpecialTokens.Keys.Order());
        Assert.Equal("{{ bos_token }}", file.Select(hasTools: true)!.Source);
    }

    [Fact]
    public void Load_NamedTemplates_SelectsByTools()
    {
        Write("tokenizer_config.json", """
            {"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]}
            """);
        ChatTemplateFile file = ChatTemplateFile.Load(_directory.FullName)!;
        Assert.Equal("plain", file.Select(hasTools: false)!.Source);
        Assert.Equal("tools", file.Select(hasTools: true)!.Source);
    }

    [Fact]
    public void Load_JinjaFile_WinsOverTokenizerConfig()
    {
        Write("chat_template.jinja", "file");
        Write("tokenizer_config.json", """{"chat_template": "config"}""");
        Write("chat_template.json", """{"chat_template": "json"}""");
        Assert.Equal("file", ChatTemplateFile.Load(_directory.FullName)!.Select(hasTools: false)!.Source);
    }

    [Fact]
    public void Load_OnlyChatTemplateJson_IsRead()
    {
        Write("chat_template.json", """{"chat_template": "json"}""");
        Write("special_tokens_map.json", """{"eos_token": "<end>"}""");
        ChatTemplateFile file = ChatTemplateFile.Load(_directory.FullName)!;
        Assert.Equal("json", file.Select(hasTools: false)!.Source);
        Assert.Equal("<end>", file.EosToken);
    }

    [Fact]
    public void Load_AdditionalTemplates_AreNamedByFile()
    {
        Write("chat_template.jinja", "plain");
        _directory.CreateSubdirectory("additional_chat_templates");
        Write("additional_chat_templates/tool_use.jinja", "tools");
        Assert.Equal("tools", ChatTemplateFile.Load(_directory.FullName)!.Select(hasTools: true)!.Source);
    }

    [Theory]
    [InlineData("{", "tokenizer_config.json")]
    [InlineData("[]", "expected a JSON object")]
    [InlineData("""{"chat_template": 1}""", "string or a list")]
    [InlineData("""{"chat_template": [{"name": "default"}]}""", "'template'")]
    [InlineData("""{"chat_template": "{{ x"}""", "template 'default'")]
    public void Load_MalformedFile_NamesTheProblem(string config, string message)
    {
        Write("tokenizer_config.json", config);
        var error = Assert.Throws<ChatTemplateException>(() => ChatTemplateFile.Load(_directory.FullName));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_directory.FullName, name), text);
}
