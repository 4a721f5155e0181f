using System.Diagnostics;

namespace Eigengate.ChatTemplates.Tests;

/// <summary>Hostile templates end quickly, in a named error and without exhausting memory or stack.</summary>
public sealed class LimitTests
{
    [Theory]
    [InlineData("{% for i in range(10**9) %}x{% endfor %}")]
    [InlineData("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")]
    [InlineData("{% set ns = namespace(s='x') %}{% for i in range(99999) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}")]
    [InlineData("{% set ns = namespace(s=[1]) %}{% for i in range(99999) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")]
    [InlineData("{{ 'x' * 10**12 }}")]
    [InlineData("{{ [0] * 10**12 }}")]
    [InlineData("{{ ('x' * 1000000).replace('x', 'x' * 1000000) }}")]
    [InlineData("{{ ('x' * 1000000) | replace('', 'x' * 1000000) }}")]
    [InlineData("{{ ('x' * 3000000) | list | join('y' * 1000) }}")]
    [InlineData("{{ 'a\nb' | indent(10**12) }}")]
    [InlineData("{{ l | tojson(indent=10**12) }}")]
    [InlineData("{{ '1'.zfill(10**12) }}")]
    [InlineData("{{ l | batch(10**9, 1) | list }}")]
    [InlineData("{% set s = 'x' * 4000000 %}{% for i in range(99999) %}{{ s | length }}{% endfor %}")]
    [InlineData("{% set s = 'x' * 4000000 %}{% for i in range(99999) %}{{ s[0] }}{% endfor %}")]
    [InlineData("{% set s = 'x' * 4000000 %}{% for i in range(99999) %}{{ 'y' in s }}{{ s == s ~ '' }}{% endfor %}")]
    [InlineData("{% set ns = namespace(l=[], s='x' * 4000000) %}{% for i in range(99999) %}{% set ns.l = ns.l + [ns.s | upper] %}{% endfor %}")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")]
    [InlineData("{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}")]
    [InlineData("{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}")]
    [InlineData("{% set ns = namespace(x=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}")]
    [InlineData("{% set ns = namespace(x=[], y=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}")]
    [InlineData("{% set x = [] %}{% set _ = x.append(x) %}{{ x }}")]
    [InlineData("{% for a in l %}{% for i in range(99999) %}{{ 'abcdefghijklmnopqrstuvwxyz' * 10 }}{% endfor %}{% endfor %}")]
    public void Render_EndlessWork_IsRefused(string template)
    {
        var watch = Stopwatch.StartNew();
        Assert.Throws<ChatTemplateLimitException>(() => Sample.Render(template));
        Assert.True(watch.Elapsed < TimeSpan.FromMinutes(1), $"took {watch.Elapsed}");
    }

    [Theory]
    [InlineData("(", ")")]
    [InlineData("[", "]")]
    [InlineData("-", "")]
    [InlineData("not ", "")]
    [InlineData("f(", ")")]
    public void Parse_DeepExpression_IsRefused(string open, string close)
    {
        string template = "{{ " + Repeat(open, 50_000) + "1" + Repeat(close, 50_000) + " }}";
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(template));
    }

    [Theory]
    [InlineData("{% if 1 %}", "{% endif %}")]
    [InlineData("{% for x in l %}", "{% endfor %}")]
    [InlineData("{% set x %}", "{% endset %}")]
    public void Parse_DeepBlocks_AreRefused(string open, string close)
    {
        string template = Repeat(open, 50_000) + Repeat(close, 50_000);
        var error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(template));
        Assert.Contains("nested", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(" + 1")]
    [InlineData(".x")]
    [InlineData(" | trim")]
    [InlineData(" or 0")]
    [InlineData(" if 1")]
    public void Render_LongChain_WorksOrIsRefused(string link)
    {
        ChatTemplate template = ChatTemplate.Parse("{{ 1" + Repeat(link, 200_000) + " }}");
        Assert.ThrowsAny<ChatTemplateException>(() => template.Render(new Dictionary<string, object?>()));
    }

    [Fact]
    public void Render_OptionsAreSmaller_LimitsFollowThem()
    {
        Assert.Equal("xxxxx", Sample.Render("{{ 'x' * 5 }}", new RenderOptions { MaxTextLength = 5 }));
        Assert.Throws<ChatTemplateLimitException>(() => Sample.Render("{{ 'x' * 6 }}", new RenderOptions { MaxTextLength = 5 }));
        Assert.Throws<ChatTemplateLimitException>(() => Sample.Render("{{ 'x' }}", new RenderOptions { MaxSteps = 2 }));
    }

    [Fact]
    public async Task Render_WhenCancelled_Stops()
    {
        ChatTemplate template = ChatTemplate.Parse(
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}");
        using var source = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        var options = new RenderOptions { MaxSteps = long.MaxValue };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.Run(
            () => template.Render(new Dictionary<string, object?>(), options, source.Token), TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Append_ChangesOnlyTheRenderingsCopy()
    {
        var messages = new List<object?> { "a" };
        var variables = new Dictionary<string, object?> { ["messages"] = messages };
        ChatTemplate template = ChatTemplate.Parse("{% set _ = messages.append('b') %}{{ messages }}");
        Assert.Equal("['a', 'b']", template.Render(variables));
        Assert.Equal("['a', 'b']", template.Render(variables));
        Assert.Single(messages);
    }

    private static string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));
}
