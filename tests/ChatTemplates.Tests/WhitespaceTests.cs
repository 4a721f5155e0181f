namespace Eigengate.ChatTemplates.Tests;

/// <summary>Whitespace around tags.</summary>
public sealed class WhitespaceTests
{
    [Theory]
    [InlineData("  {% if 1 %}\n  a\n  {% endif %}\nb", "  a\nb")]
    [InlineData("x {% if 1 %}\na{% endif %}", "x a")]
    [InlineData("{% if 1 %}  \na{% endif %}", "  \na")]
    [InlineData("{{ 1 }}  {% if 1 %}\na{% endif %}", "1  a")]
    [InlineData("  {# c #}\nx", "x")]
    [InlineData("{% for i in [1, 2] %}\n  line {{ i }}\n{% endfor %}\ntail", "  line 1\n  line 2\ntail")]
    [InlineData("{% if 1 %}\n\na{% endif %}", "\na")]
    public void Tags_TakeTheirIndentAndLineEnd(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("  {{ 1 }}\nx", "  1\nx")]
    [InlineData("{{ 1 }}\n{{ 2 }}\n", "1\n2")]
    public void Expressions_KeepTheirSurroundings(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("a \n {%- if 1 -%} \n b \n {%- endif -%} \n c", "abc")]
    [InlineData("a \n {{- 1 -}} \n b", "a1b")]
    [InlineData("a \n {#- c -#} \n b", "ab")]
    public void Minus_StripsEverythingBlank(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("  {%+ if 1 %}a{% endif %}", "  a")]
    [InlineData("{% if 1 +%}\na{% endif %}", "\na")]
    [InlineData("{% if 1 %}a{% endif +%}\nb", "a\nb")]
    public void Plus_KeepsWhatWouldBeTaken(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("a\n", "a")]
    [InlineData("a\n\n", "a\n")]
    [InlineData("a\r\nb\rc\r\n", "a\nb\nc")]
    [InlineData("{% if 1 %}\r\na{% endif %}", "a")]
    public void LastLineEnd_IsDropped_AndLineEndsAreNormalised(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% raw %}\n a\n  {% endraw %}\nb", "\n a\nb")]
    public void Raw_KeepsItsFirstLineEnd(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));
}
