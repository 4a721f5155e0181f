namespace Eigengate.ChatTemplates.Tests;

/// <summary>Templates of the shapes models ship, on whole conversations.</summary>
public sealed class RealTemplateTests
{
    private const string Turns = """
        {"role": "user", "content": " Hi "}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Bye"}
        """;

    private const string Tool = """
        {"type": "function", "function": {"name": "weather", "description": " Now. ", "parameters": {"type": "object",
          "properties": {"place": {"type": "string"}, "days": {"type": "integer"}, "units": {"enum": ["c", "f"]}},
          "required": ["place"]}}}
        """;

    private const string ToolJson = "{\"type\": \"function\", \"function\": {\"name\": \"weather\", \"description\": \" Now. \", "
        + "\"parameters\": {\"type\": \"object\", \"properties\": {\"place\": {\"type\": \"string\"}, \"days\": {\"type\": \"integer\"}, "
        + "\"units\": {\"enum\": [\"c\", \"f\"]}}, \"required\": [\"place\"]}}}";

    private const string ToolTurns = """
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": null, "tool_calls": [
          {"id": "1", "type": "function", "function": {"name": "weather", "arguments": {"place": "Rome", "days": 2}}}]},
        {"role": "tool", "content": "sunny"}
        """;

    [Fact]
    public void ChatMl_WithSystemMessage_FramesEveryTurn() => Assert.Equal(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n"
        + "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        Render("chatml", System(Turns)));

    [Fact]
    public void Llama2_WithSystemMessage_FoldsItIntoTheFirstTurn() => Assert.Equal(
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Hello </s><s>[INST] Bye [/INST]",
        Render("llama2", System(Turns)));

    [Fact]
    public void Llama3_WithoutGenerationPrompt_EndsWithTheLastTurn() => Assert.Equal(
        "<s><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        + "Hello<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>",
        Render("llama3", Turns, prompt: false));

    [Fact]
    public void Mistral_WithTools_ListsThemBeforeTheLastQuestion() => Assert.Equal(
        "<s>[INST]  Hi [/INST] Hello</s>[AVAILABLE_TOOLS] [" + ToolJson + "][/AVAILABLE_TOOLS][INST] Be brief.\n\nBye[/INST]",
        Render("mistral", System(Turns), Tool));

    [Fact]
    public void Zephyr_LeavesOneLineEndAfterEachTurn() => Assert.Equal(
        "<|user|>\n Hi </s>\n<|assistant|>\nHello</s>\n<|user|>\nBye</s>\n<|assistant|>\n", Render("zephyr", Turns));

    [Fact]
    public void Gemma_CallsTheAssistantModel() => Assert.Equal(
        "<s><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
        + "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
        Render("gemma", Turns));

    [Fact]
    public void Gemma_WithSystemMessage_RejectsTheConversation()
    {
        var rejection = Assert.Throws<ChatTemplateRejection>(() => Render("gemma", System(Turns)));
        Assert.Equal("System role not supported", rejection.Message);
    }

    [Fact]
    public void Qwen_WithToolCalls_PrintsToolsCallsAndResponses() => Assert.Equal(
        "<|im_start|>system\nYou answer questions.\n\n# Tools\n\nFunctions you may call, one signature a line:\n<tools>\n"
        + ToolJson + "\n</tools>\n\nFor a call, write:\n<tool_call>\n{\"name\": <name>, \"arguments\": <object>}\n</tool_call>"
        + "<|im_end|>\n<|im_start|>user\nRain?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n"
        + "{\"name\": \"weather\", \"arguments\": {\"place\": \"Rome\", \"days\": 2}}\n</tool_call><|im_end|>\n"
        + "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
        Render("qwen", ToolTurns, Tool));

    [Fact]
    public void ToolsTemplate_PrintsSignaturesAndCalls() => Assert.Equal(
        "<s><|system|>\nnamespace functions {\n\n// Now.\n  type weather = (_: {\n    days?: number\n    place: string\n"
        + "    units?: \"c\" | \"f\"\n  }) => any;\n} // weather<|end|><|user|>Rain?<|end|>"
        + "<|assistant|>call weather(place=\"Rome\", days=2);<|end|><|tool|>tool: sunny<|end|>\n# 1 call: weather<|assistant|>",
        Render("tools", ToolTurns, Tool));

    [Fact]
    public void Rendering_OnManyThreads_GivesOneAnswer()
    {
        ChatTemplate template = ChatTemplate.Parse(Sample.Fixture("tools"));
        Dictionary<string, object?> variables = Variables(ToolTurns, Tool, prompt: true);
        string expected = template.Render(variables);
        Parallel.For(0, 200, _ => Assert.Equal(expected, template.Render(variables)));
    }

    private static string System(string turns) => """{"role": "system", "content": "Be brief."}, """ + turns;

    private static string Render(string fixture, string turns, string? tool = null, bool prompt = true) =>
        ChatTemplate.Parse(Sample.Fixture(fixture)).Render(Variables(turns, tool, prompt));

    private static Dictionary<string, object?> Variables(string turns, string? tool, bool prompt)
    {
        string tools = tool is null ? "null" : $"[{tool}]";
        Dictionary<string, object?> variables = Sample.Json($$"""{"messages": [{{turns}}], "tools": {{tools}}}""");
        variables["add_generation_prompt"] = prompt;
        variables["bos_token"] = "<s>";
        variables["eos_token"] = "</s>";
        return variables;
    }
}
