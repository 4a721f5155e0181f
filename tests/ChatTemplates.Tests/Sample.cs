using System.Text.Json;

namespace Eigengate.ChatTemplates.Tests;

/// <summary>One small set of variables for the language tests.</summary>
internal static class Sample
{
    private static readonly Dictionary<string, object?> Variables = Json("""
        {
          "d": {"k": "v", "n": 1}, "s": "hello", "l": [1, 2, 3], "objs": [{"a": 2}, {"a": 1, "b": true}],
          "u": "a😀b", "big": 12345678901234567890123
        }
        """);

    public static string Print(string expression) => Render("{{ " + expression + " }}");

    public static string Render(string template, RenderOptions? options = null) =>
        ChatTemplate.Parse(template).Render(Variables, options);

    /// <summary>The properties of a JSON object as template variables.</summary>
    public static Dictionary<string, object?> Json(string json) =>
        JsonDocument.Parse(json).RootElement.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value);

    public static string Fixture(string name) =>
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", name + ".jinja"));

    public static IReadOnlyList<string> FixtureNames { get; } =
        ["chatml", "qwen", "llama2", "llama3", "mistral", "zephyr", "gemma", "tools"];
}
