namespace Eigengate.ChatTemplates.Tests;

/// <summary>Mistakes in templates are reported with their place.</summary>
public sealed class ErrorTests
{
    [Theory]
    [InlineData("a\n  {{ x", 2, 3, "expected '}}'")]
    [InlineData("{% if x", 1, 1, "expected '%}'")]
    [InlineData("{# x", 1, 1, "expected '#}'")]
    [InlineData("{% raw %}x", 1, 1, "endraw")]
    [InlineData("{{ 'abc }}", 1, 4, "never closed")]
    [InlineData("{% if x %}a", 1, 12, "'{% endif %}' for 'if', found the end of the template")]
    [InlineData("{% for x in y %}{% endif %}", 1, 20, "expected '{% else %}' or '{% endfor %}' for 'for', found 'endif'")]
    [InlineData("{% endif %}", 1, 1, "endif")]
    [InlineData("{% for x of y %}", 1, 10, "expected 'in', found 'of'")]
    [InlineData("{{ 1 + }}", 1, 8, "expected an expression, found '}}'")]
    [InlineData("{{ (1 }}", 1, 7, "expected ')'")]
    [InlineData("{{ a b }}", 1, 6, "expected '}}', found 'b'")]
    [InlineData("{{ a ? b }}", 1, 6, "'?'")]
    [InlineData("{{ {'a' 1} }}", 1, 9, "expected ':', found '1'")]
    [InlineData("{% foo %}", 1, 4, "unknown tag 'foo'")]
    [InlineData("\n\n{{ x | shout }}", 3, 8, "no filter named 'shout'")]
    [InlineData("{{ x is shouted }}", 1, 9, "no test named 'shouted'")]
    [InlineData("{% set true = 1 %}", 1, 8, "cannot assign to 'true'")]
    [InlineData("{% set 1 = 2 %}", 1, 8, "expected a name, found '1'")]
    [InlineData("{% break %}", 1, 4, "outside of a loop")]
    [InlineData("{% for x in l %}{% set y %}{% continue %}{% endset %}{% endfor %}", 1, 31, "outside of a loop")]
    [InlineData("{% macro m(a=1, b) %}{% endmacro %}", 1, 18, "'b' needs a default")]
    [InlineData("{{ f(a=1, 2) }}", 1, 11, "expected a named argument")]
    [InlineData("{{ 99999999999999999999 }}", 1, 4, "64 bits")]
    [InlineData("{% for x in l recursive %}{% endfor %}", 1, 15, "recursive")]
    public void Parse_MalformedTemplate_NamesPlaceAndExpectation(string template, int line, int column, string message)
    {
        var error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(template));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal((line, column), (error.Line, error.Column));
    }

    [Theory]
    [InlineData("{{ nope.x }}", "'nope' is undefined")]
    [InlineData("{{ d.nope.x }}", "'dict' has no attribute 'nope'")]
    [InlineData("{{ nope + 1 }}", "'nope' is undefined")]
    [InlineData("{{ nope() }}", "'nope' is undefined")]
    [InlineData("{{ nope | tojson }}", "'nope' is undefined")]
    [InlineData("{{ none + 'a' }}", "'NoneType' and 'str'")]
    [InlineData("{{ 'a' < 1 }}", "'str' and 'int'")]
    [InlineData("{{ 1 in 2 }}", "'int' cannot be iterated over")]
    [InlineData("{{ 1 / 0 }}", "division by zero")]
    [InlineData("{{ 9223372036854775807 + 1 }}", "64 bits")]
    [InlineData("{{ s() }}", "'str' cannot be called")]
    [InlineData("{{ l | map('string') | length }}", "'generator' has no length")]
    [InlineData("{{ s | trim('a', 'b') }}", "takes at most 1")]
    [InlineData("{{ s | trim(charz='a') }}", "no argument 'charz'")]
    [InlineData("{{ l | map('nofilter') | list }}", "no filter named 'nofilter'")]
    [InlineData("{% if 1 %}{{ s | nofilter }}{% endif %}", "no filter named 'nofilter'")]
    [InlineData("{% set a, b = [1] %}", "unpack 1 values into 2")]
    [InlineData("{% set d.x = 1 %}", "'d' is not a namespace")]
    [InlineData("{{ d.update({}) }}", "no attribute 'update'")]
    [InlineData("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "macro 'm' takes at most 1")]
    [InlineData("{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", "no argument 'b'")]
    [InlineData("{{ [{'a': 1}, {}] | sort(attribute='a') }}", "has no attribute 'a'")]
    public void Render_ImpossibleOperation_SaysWhichOne(string template, string message)
    {
        var error = Assert.Throws<ChatTemplateException>(() => Sample.Render(template));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, error.Line);
    }

    [Fact]
    public void Render_FailureOnALaterLine_NamesIt()
    {
        var error = Assert.Throws<ChatTemplateException>(() => Sample.Render("a\n{% for x in l %}\n  {{ x + s }}\n{% endfor %}"));
        Assert.Equal((3, 8), (error.Line, error.Column));
    }
}
