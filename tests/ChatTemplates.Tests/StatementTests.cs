namespace Eigengate.ChatTemplates.Tests;

/// <summary>What statements print.</summary>
public sealed class StatementTests
{
    [Theory]
    [InlineData("{% if 0 %}a{% elif 0 %}b{% else %}c{% endif %}", "c")]
    [InlineData("{% if nope %}a{% elif l %}b{% else %}c{% endif %}", "b")]
    [InlineData("{% if 0 %}a{% endif %}", "")]
    [InlineData("{% if l and s or nope %}a{% endif %}", "a")]
    public void If_TakesTheFirstTrueBranch(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% for x in l %}{{ x }},{% endfor %}", "1,2,3,")]
    [InlineData("{% for x in [] %}a{% else %}empty{% endfor %}", "empty")]
    [InlineData("{% for x in l if x > 5 %}a{% else %}none{% endfor %}", "none")]
    [InlineData("{% for k in d %}{{ k }}{% endfor %}", "kn")]
    [InlineData("{% for c in u %}{{ c }}.{% endfor %}", "a.😀.b.")]
    [InlineData("{% for a, b in d.items() %}{{ a }}={{ b }};{% endfor %}", "k=v;n=1;")]
    [InlineData("{% for (x, y), z in [((1, 2), 3)] %}{{ x }}{{ y }}{{ z }}{% endfor %}", "123")]
    [InlineData("{% for x in 1, 2 %}{{ x }}{% endfor %}", "12")]
    [InlineData("{% for x in nope %}a{% endfor %}", "")]
    public void For_VisitsItems_OrRunsElse(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }} {% endfor %}", "1032 2121 3210 ")]
    [InlineData("{% for x in l %}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}", "TrueFalse3 FalseFalse3 FalseTrue3 ")]
    [InlineData("{% for x in l %}[{{ loop.previtem }}{{ loop.nextitem }}]{% endfor %}", "[2][13][2]")]
    [InlineData("{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba")]
    [InlineData("{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}", "True False True ")]
    [InlineData("{% for x in l if x is odd %}{{ loop.index }}{{ loop.length }} {% endfor %}", "12 22 ")]
    [InlineData("{% for x in l %}{% for y in [1] %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}", "111213")]
    public void For_DescribesItselfInLoop(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 6 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01245")]
    public void For_CanBreakAndContinue(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% set x = 1 %}{% for i in l %}{{ x }}{% set x = x + 1 %}{{ x }} {% endfor %}{{ x }}", "12 12 12 1")]
    [InlineData("{% if 1 %}{% set x = 1 %}{% endif %}{{ x }}", "1")]
    public void Set_InLoop_StaysInItsIteration(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% set ns = namespace(x=1, l=[]) %}{% for i in l %}{% set ns.x = ns.x + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.x }}{{ ns.l }}{{ ns.y is defined }}", "7[1, 2, 3]False")]
    [InlineData("{{ namespace({'q': 2}).q }}", "2")]
    public void Set_OnNamespace_OutlivesTheLoop(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% set a, b = 1, 2 %}{{ a }}{{ b }}", "12")]
    [InlineData("{% set t = 1, %}{{ t }}", "(1,)")]
    [InlineData("{% set x %} hi {{ 1 }} {% endset %}[{{ x }}]", "[ hi 1 ]")]
    [InlineData("{% set y | trim | upper %} hi {% endset %}[{{ y }}]", "[HI]")]
    public void Set_UnpacksAndTakesBlocks(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% macro m(a, b=2) %}[{{ a }},{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}{{ m() }}{{ m(a=4) }}{{ m(*[5, 6]) }}{{ m(**{'a': 7}) }}", "[1,2][1,3][,2][4,2][5,6][7,2]")]
    [InlineData("{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}", "1")]
    [InlineData("{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, z=3) }}", "(1, 2){'z': 3}")]
    public void Macro_BindsArguments(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% macro m() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}", "5")]
    [InlineData("{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "54321")]
    public void Macro_SeesLaterGlobals_AndItself(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% macro w(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call w('p') %}hi{% endcall %}", "<p>hi</p>")]
    [InlineData("{% macro w(l) %}{% for i in l %}{{ caller(i) }},{% endfor %}{% endmacro %}{% call(x) w([1, 2]) %}*{{ x }}{% endcall %}", "*1,*2,")]
    public void Call_HandsItsBodyToTheMacro(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% filter upper %}abc{{ 1 }}d{% endfilter %}", "ABC1D")]
    [InlineData("{% filter trim | replace('a', 'b') %} aaa {% endfilter %}", "bbb")]
    [InlineData("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}", "3False")]
    [InlineData("{% generation %}x{% set q = 1 %}{% endgeneration %}{{ q is defined }}", "xFalse")]
    public void Blocks_FilterScopeAndMark(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% raw %}{{ x }} {% if %}{% endraw %}|", "{{ x }} {% if %}|")]
    [InlineData("|{%- raw -%}  a  {%- endraw -%}  |", "|a|")]
    [InlineData("a {#- c -#} b {# {{ x }} #} c", "ab  c")]
    public void Raw_AndComments_AreNotEvaluated(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{{ dict(a=1, b=2) }}{{ dict({'x': 1}, y=2) }}{{ dict([('a', 1)]) }}", "{'a': 1, 'b': 2}{'x': 1, 'y': 2}{'a': 1}")]
    [InlineData("{% set j = joiner(', ') %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}", "1, 2, 3")]
    [InlineData("{{ range(5, 0, -2) | list }}", "[5, 3, 1]")]
    public void Globals_AreThere(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% if false %}{{ s | nofilter }}{% endif %}ok", "ok")]
    [InlineData("{{ 'a' if true else s | nofilter }}", "a")]
    public void UnknownFilters_InBranchesThatNeverRun_AreTolerated(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));

    [Theory]
    [InlineData("{% set g = l | map('string') %}{{ g | list }}{{ g | list }}", "['1', '2', '3'][]")]
    public void Iterators_AreEmptyOnceRead(string template, string expected) =>
        Assert.Equal(expected, Sample.Render(template));
}
