namespace Eigengate.ChatTemplates.Tests;

/// <summary>Every filter.</summary>
public sealed class FilterTests
{
    [Theory]
    [InlineData("'abc' | upper | lower | title", "Abc")]
    [InlineData("'hello world-foo (bar)' | title", "Hello World-Foo (Bar)")]
    [InlineData("'hELLO wORLD' | capitalize", "Hello world")]
    [InlineData("'  a ' | trim", "a")]
    [InlineData("'xxaxx' | trim('x')", "a")]
    [InlineData("none | string", "None")]
    [InlineData("'aaa' | replace('a', 'b')", "bbb")]
    [InlineData("'aaa' | replace('a', 'b', 1)", "baa")]
    [InlineData("12 | replace(1, 'x')", "x2")]
    [InlineData("'<a href=\"x\">\\'&' | e", "&lt;a href=&#34;x&#34;&gt;&#39;&amp;")]
    [InlineData("'<b>' | safe", "<b>")]
    [InlineData("'%s and %d' | format('x', 3)", "x and 3")]
    [InlineData("'a b  c' | wordcount", "3")]
    [InlineData("-1 | abs", "1")]
    public void TextFilters_PrintTheirValueFirst(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'a\\nb\\n\\nc' | indent", "a\n    b\n\n    c")]
    [InlineData("'a\\nb' | indent(2, true)", "  a\n  b")]
    [InlineData("'a\\n\\nb' | indent(2, blank=true)", "a\n  \n  b")]
    [InlineData("'a\\nb' | indent('> ')", "a\n> b")]
    public void Indent_LeavesFirstAndBlankLinesAlone(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'42' | int", "42")]
    [InlineData("'4.7' | int", "4")]
    [InlineData("'x' | int", "0")]
    [InlineData("'x' | int(7)", "7")]
    [InlineData("4.9 | int", "4")]
    [InlineData("true | int", "1")]
    [InlineData("'0x1F' | int(0, 16)", "31")]
    [InlineData("' 12 ' | int", "12")]
    [InlineData("'1.5' | float", "1.5")]
    [InlineData("'x' | float", "0.0")]
    [InlineData("3 | float", "3.0")]
    [InlineData("none | int", "0")]
    [InlineData("2.5 | round", "2.0")]
    [InlineData("3.5 | round", "4.0")]
    [InlineData("42.55 | round(1)", "42.5")]
    [InlineData("2.675 | round(2)", "2.67")]
    [InlineData("0.125 | round(2)", "0.12")]
    [InlineData("42 | round", "42")]
    [InlineData("2.1 | round(method='ceil')", "3.0")]
    [InlineData("2.1 | round(0, 'floor')", "2.0")]
    [InlineData("1234.5 | round(-2)", "1200.0")]
    [InlineData("-5 | abs", "5")]
    public void NumberFilters_ParseAndRoundLikePython(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("l | join(', ')", "1, 2, 3")]
    [InlineData("objs | join(',', attribute='a')", "2,1")]
    [InlineData("'abc' | list", "['a', 'b', 'c']")]
    [InlineData("d | list", "['k', 'n']")]
    [InlineData("'abc' | first", "a")]
    [InlineData("l | last", "3")]
    [InlineData("[] | first", "")]
    [InlineData("l | reverse | list", "[3, 2, 1]")]
    [InlineData("'abc' | reverse", "cba")]
    [InlineData("d | items | list", "[('k', 'v'), ('n', 1)]")]
    [InlineData("d | length", "2")]
    [InlineData("range(4) | sum", "6")]
    [InlineData("objs | sum(attribute='a')", "3")]
    [InlineData("objs | sum('a', 10)", "13")]
    [InlineData("[1, 2, 3] | batch(2) | list", "[[1, 2], [3]]")]
    [InlineData("[1, 2, 3] | batch(2, 0) | list", "[[1, 2], [3, 0]]")]
    [InlineData("objs[0] | attr('zz') is defined", "False")]
    public void SequenceFilters_WorkOnAnyIterable(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("l | map('string') | join('-')", "1-2-3")]
    [InlineData("objs | map(attribute='a') | list", "[2, 1]")]
    [InlineData("objs | map(attribute='b', default='D') | list", "['D', True]")]
    [InlineData("[{'x': {'y': [5]}}] | map(attribute='x.y.0') | list", "[5]")]
    [InlineData("['aab'] | map('replace', 'a', 'x') | first", "xxb")]
    [InlineData("objs | selectattr('a', 'equalto', 1) | list", "[{'a': 1, 'b': True}]")]
    [InlineData("objs | rejectattr('a', '==', 1) | list", "[{'a': 2}]")]
    [InlineData("objs | selectattr('b') | list", "[{'a': 1, 'b': True}]")]
    [InlineData("objs | selectattr('b', 'defined') | list | length", "1")]
    [InlineData("[1, 2, 3, 4] | select('even') | list", "[2, 4]")]
    [InlineData("[0, 1, '', none] | select | list", "[1]")]
    [InlineData("[0, 1] | reject | list", "[0]")]
    [InlineData("[1, 5, 3] | select('>', 2) | list", "[5, 3]")]
    public void SelectionFilters_TakeFiltersTestsAndAttributes(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'yes' if l | select('>', 100)", "yes")]
    [InlineData("l | map('string') is iterable", "True")]
    [InlineData("l | map('string') is sequence", "False")]
    public void SelectionFilters_YieldOneShotIterators(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("[3, 1, 2] | sort", "[1, 2, 3]")]
    [InlineData("['b', 'A', 'c'] | sort", "['A', 'b', 'c']")]
    [InlineData("['b', 'A', 'c'] | sort(case_sensitive=true)", "['A', 'b', 'c']")]
    [InlineData("[3, 1, 2] | sort(reverse=true)", "[3, 2, 1]")]
    [InlineData("objs | sort(attribute='a')", "[{'a': 1, 'b': True}, {'a': 2}]")]
    [InlineData("d | dictsort", "[('k', 'v'), ('n', 1)]")]
    [InlineData("{'b': 1, 'A': 2} | dictsort", "[('A', 2), ('b', 1)]")]
    [InlineData("{'b': 1, 'A': 2} | dictsort(by='value')", "[('b', 1), ('A', 2)]")]
    [InlineData("{'b': 1, 'A': 2} | dictsort(true)", "[('A', 2), ('b', 1)]")]
    [InlineData("{'b': 1, 'A': 2} | dictsort(reverse=true)", "[('b', 1), ('A', 2)]")]
    [InlineData("['a', 'A', 'b'] | unique | list", "['a', 'b']")]
    [InlineData("[1, 3, 2] | max", "3")]
    [InlineData("['b', 'A'] | min", "A")]
    [InlineData("[] | max", "")]
    public void OrderFilters_IgnoreCaseUnlessTold(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("nope | default('z')", "z")]
    [InlineData("'' | default('z')", "")]
    [InlineData("'' | default('z', true)", "z")]
    [InlineData("none | default('q')", "None")]
    [InlineData("none | d('q', boolean=true)", "q")]
    [InlineData("nope | default", "")]
    public void Default_ReplacesUndefined_AndOnRequestFalse(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("objs | tojson", "[{\"a\": 2}, {\"a\": 1, \"b\": true}]")]
    [InlineData("'é\"\\n\\t\\x01</b>' | tojson", "\"é\\\"\\n\\t\\u0001</b>\"")]
    [InlineData("[1.0, 1e20, none, true, 1.5] | tojson", "[1.0, 1e+20, null, true, 1.5]")]
    [InlineData("{1: 2, none: 3, true: 4} | tojson", "{\"1\": 4, \"null\": 3}")]
    [InlineData("[] | tojson", "[]")]
    [InlineData("(1, 2) | tojson", "[1, 2]")]
    [InlineData("'é😀' | tojson(ensure_ascii=true)", "\"\\u00e9\\ud83d\\ude00\"")]
    [InlineData("{'b': 1, 'a': {}} | tojson(sort_keys=true)", "{\"a\": {}, \"b\": 1}")]
    [InlineData("[1, {'a': 2}] | tojson(separators=(',', ':'))", "[1,{\"a\":2}]")]
    [InlineData("big | tojson", "12345678901234567890123")]
    public void ToJson_WritesLikeJsonDumps(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("objs | tojson(indent=2)", "[\n  {\n    \"a\": 2\n  },\n  {\n    \"a\": 1,\n    \"b\": true\n  }\n]")]
    [InlineData("{'a': [], 'b': {}} | tojson(indent=4)", "{\n    \"a\": [],\n    \"b\": {}\n}")]
    [InlineData("[1] | tojson(indent=0)", "[\n1\n]")]
    public void ToJson_WithIndent_BreaksLines(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));
}
