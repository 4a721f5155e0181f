using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;

namespace Eigengate.ChatTemplates.Tests;

/// <summary>Compares whole renderings with the JavaScript implementation Hugging Face publishes.</summary>
public sealed class OracleTests
{
    private const int Conversations = 150;

    /// <summary>Never empty: the reference takes an empty string for false where Python does not.</summary>
    private static readonly Gen<string> Text = Gen.Frequency(
        (6, Gen.Char["abc XYZ.,'\"\\\n{}%<>&éß"].Array[1, 12].Select(c => new string(c))),
        (1, Gen.Const("😀 naïve")),
        (1, Gen.Const("{{ x }}{% if %}")));

    private static readonly Gen<JsonNode> Message =
        from role in Gen.Int[0, 2].Select(i => new[] { "user", "assistant", "system" }[i])
        from content in Text
        select (JsonNode)new JsonObject { ["role"] = role, ["content"] = content };

    private static readonly Gen<JsonNode> Call =
        from name in Gen.Bool.Select(w => w ? "weather" : "stop")
        from place in Text
        from days in Gen.Int[-3, 3]
        select (JsonNode)new JsonObject
        {
            ["type"] = "function",
            ["function"] = new JsonObject
            {
                ["name"] = name,
                ["arguments"] = new JsonObject { ["place"] = place, ["days"] = days, ["exact"] = days > 0, ["none"] = null },
            },
        };

    private static readonly Gen<JsonNode> ToolMessage =
        from calls in Call.Array[1, 2]
        from answer in Text
        from isCall in Gen.Bool
        select isCall
            ? (JsonNode)new JsonObject { ["role"] = "assistant", ["content"] = "", ["tool_calls"] = new JsonArray(calls) }
            : new JsonObject { ["role"] = "tool", ["name"] = "weather", ["content"] = answer };

    private static readonly Gen<JsonNode?> Tools =
        from description in Text
        from several in Gen.Int[0, 2]
        select several == 0 ? null : (JsonNode)new JsonArray([.. Enumerable.Range(0, several).Select(i => Tool(i, description))]);

    private static readonly Gen<JsonNode> Variables =
        from free in Gen.Bool
        from messages in free ? Gen.Frequency((3, Message), (1, ToolMessage)).Array[1, 6] : TakingTurns
        from tools in Tools
        from prompt in Gen.Bool
        select (JsonNode)new JsonObject
        {
            ["messages"] = new JsonArray(Numbered(messages)),
            ["tools"] = tools,
            ["add_generation_prompt"] = prompt,
            ["bos_token"] = "<s>",
            ["eos_token"] = "</s>",
        };

    private static Gen<JsonNode[]> TakingTurns =>
        from texts in Text.Array[1, 6]
        from system in Gen.Bool
        select texts.Select((text, i) => (JsonNode)new JsonObject
        {
            ["role"] = system && i == 0 ? "system" : (i % 2 == 0) == system ? "assistant" : "user",
            ["content"] = text,
        }).ToArray();

    [Fact]
    public async Task GeneratedConversations_RenderLikeTheReference()
    {
        string folder = OracleFolder();
        Assert.SkipUnless(
            Directory.Exists(Path.Combine(folder, "node_modules", "@huggingface", "jinja")),
            "the npm package @huggingface/jinja is not installed: run npm ci in tests/ChatTemplates.Tests/oracle");

        // A fixed seed: a case where the two implementations are known to differ must not appear on some days only.
        JsonNode[] generated = Variables.Array[Conversations].Generate(new PCG(1, 20270305), null, out _);
        var cases = (
            from variables in generated.Select(v => v.ToJsonString())
            from fixture in Sample.FixtureNames
            select (Fixture: fixture, Template: Sample.Fixture(fixture), Variables: variables)).ToList();

        var input = new JsonArray([.. cases.Select(c => new JsonObject
        {
            ["template"] = c.Template,
            ["variables"] = JsonNode.Parse(c.Variables),
        })]);
        JsonElement expected = await Ask(folder, input.ToJsonString());

        int rendered = 0;
        for (int i = 0; i < cases.Count; i++)
        {
            string? reference = expected[i].TryGetProperty("text", out JsonElement text) ? text.GetString() : null;
            string? ours = Render(cases[i].Template, cases[i].Variables);
            Assert.True(
                reference == ours,
                $"{cases[i].Fixture} with {cases[i].Variables}\nreference: {reference ?? expected[i].GetRawText()}\nours: {ours}");
            rendered += ours is null ? 0 : 1;
        }

        Assert.True(rendered > cases.Count / 2, $"only {rendered} of {cases.Count} conversations rendered at all");
    }

    /// <summary>Makes messages distinct: the reference compares them by identity, Python by value.</summary>
    private static JsonNode[] Numbered(JsonNode[] messages)
    {
        for (int i = 0; i < messages.Length; i++)
            messages[i]["content"] = $"{messages[i]["content"]}{i}";
        return messages;
    }

    private static JsonObject Tool(int index, string description) => new()
    {
        ["type"] = "function",
        ["function"] = new JsonObject
        {
            ["name"] = index == 0 ? "weather" : "stop",
            ["description"] = description,
            ["parameters"] = new JsonObject
            {
                ["type"] = "object",
                ["properties"] = index > 0 ? [] : new JsonObject
                {
                    ["place"] = new JsonObject { ["type"] = "string" },
                    ["days"] = new JsonObject { ["type"] = "integer" },
                    ["units"] = new JsonObject { ["enum"] = new JsonArray("c", "f") },
                    ["tags"] = new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" } },
                },
                ["required"] = new JsonArray("place"),
            },
        },
    };

    private static string? Render(string template, string variables)
    {
        try
        {
            return ChatTemplate.Parse(template).Render(Sample.Json(variables));
        }
        catch (Exception refused) when (refused is ChatTemplateRejection or ChatTemplateException)
        {
            return null;
        }
    }

    private static async Task<JsonElement> Ask(string folder, string input)
    {
        var start = new ProcessStartInfo("node", "render.mjs")
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        Process? node = null;
        try
        {
            node = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("node is not installed");
        }

        using (node)
        {
            Task<string> output = node!.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await node.StandardInput.WriteAsync(input);
            node.StandardInput.Close();
            using JsonDocument answer = JsonDocument.Parse(await output);
            return answer.RootElement.Clone();
        }
    }

    private static string OracleFolder()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Gateway.sln")))
            directory = directory.Parent;
        return Path.Combine(directory?.FullName ?? ".", "tests", "ChatTemplates.Tests", "oracle");
    }
}
