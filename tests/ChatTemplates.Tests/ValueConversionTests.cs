using System.Text.Json.Nodes;

namespace Eigengate.ChatTemplates.Tests;

public sealed class ValueConversionTests
{
    [Fact]
    public void Render_ClrAndJsonValues_AreTheSameToATemplate()
    {
        var clr = new Dictionary<string, object?>
        {
            ["x"] = new Dictionary<string, object?> { ["a"] = new object?[] { 1, 2.5, null, true, "s", ulong.MaxValue } },
        };
        var nodes = new Dictionary<string, object?>
        {
            ["x"] = new JsonObject { ["a"] = new JsonArray(1, 2.5, null, true, "s", ulong.MaxValue) },
        };
        Dictionary<string, object?> parsed = Sample.Json("""{"x": {"a": [1, 2.5, null, true, "s", 18446744073709551615]}}""");
        ChatTemplate template = ChatTemplate.Parse("{{ x }}");
        Assert.All([clr, nodes, parsed], variables => Assert.Equal(
            "{'a': [1, 2.5, None, True, 's', 18446744073709551615]}", template.Render(variables)));
    }

    [Fact]
    public void Render_CyclicOrForeignValues_AreRefused()
    {
        var cycle = new List<object?>();
        cycle.Add(cycle);
        ChatTemplate template = ChatTemplate.Parse("x");
        Assert.Throws<ChatTemplateException>(() => template.Render(new Dictionary<string, object?> { ["x"] = cycle }));
        Assert.Throws<ChatTemplateException>(() => template.Render(new Dictionary<string, object?> { ["x"] = new object() }));
    }
}
