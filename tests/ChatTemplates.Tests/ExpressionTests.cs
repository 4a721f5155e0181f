namespace Eigengate.ChatTemplates.Tests;

/// <summary>What expressions evaluate to, printed.</summary>
public sealed class ExpressionTests
{
    [Theory]
    [InlineData("1 + 2 * 3", "7")]
    [InlineData("2 ** 3 ** 2", "64")]
    [InlineData("-2 ** 2", "4")]
    [InlineData("7 // 2", "3")]
    [InlineData("-7 // 2", "-4")]
    [InlineData("-7 % 3", "2")]
    [InlineData("7 / 2", "3.5")]
    [InlineData("4 / 2", "2.0")]
    [InlineData("5.0 // 2", "2.0")]
    [InlineData("-5.5 % 2", "0.5")]
    [InlineData("2 ** -1", "0.5")]
    [InlineData("true + 1", "2")]
    [InlineData("10 - 2.5", "7.5")]
    [InlineData("'x' * 3", "xxx")]
    [InlineData("3 * 'x'", "xxx")]
    [InlineData("[1] * 2", "[1, 1]")]
    [InlineData("[1] + [2]", "[1, 2]")]
    [InlineData("(1,) + (2,)", "(1, 2)")]
    [InlineData("'a' + 'b'", "ab")]
    [InlineData("+1", "1")]
    [InlineData("- 1", "-1")]
    public void Arithmetic_FollowsPython(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'a' ~ 1 ~ none ~ true ~ 1.5", "a1NoneTrue1.5")]
    [InlineData("'1' ~ 2 + '3'", "123")]
    [InlineData("1 ~ 2 * 3", "16")]
    [InlineData("nope ~ 'x'", "x")]
    public void Concatenation_PrintsItsParts_AndBindsTighterThanPlus(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("1.0", "1.0")]
    [InlineData("1e16", "1e+16")]
    [InlineData("1e15", "1000000000000000.0")]
    [InlineData("1e-5", "1e-05")]
    [InlineData("0.0001", "0.0001")]
    [InlineData("0.1 + 0.2", "0.30000000000000004")]
    [InlineData("123456789.125", "123456789.125")]
    [InlineData("1e22", "1e+22")]
    [InlineData("5e-324", "5e-324")]
    [InlineData("-0.0", "-0.0")]
    [InlineData("0x1f", "31")]
    [InlineData("0b11", "3")]
    [InlineData("0o17", "15")]
    [InlineData("1_000", "1000")]
    [InlineData("big", "12345678901234567890123")]
    [InlineData("l.0", "1")]
    public void Numbers_PrintLikePython(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("none", "None")]
    [InlineData("true", "True")]
    [InlineData("[1, 'a', \"it's\", none, 1.0]", "[1, 'a', \"it's\", None, 1.0]")]
    [InlineData("{'k': (1,), 'z': ()}", "{'k': (1,), 'z': ()}")]
    [InlineData("(1, 2)", "(1, 2)")]
    [InlineData("1, 2", "(1, 2)")]
    [InlineData("[]", "[]")]
    [InlineData("{}", "{}")]
    [InlineData("()", "()")]
    [InlineData("range(3)", "range(0, 3)")]
    [InlineData("range(1, 10, 2)", "range(1, 10, 2)")]
    [InlineData("[nope]", "[Undefined]")]
    [InlineData("['\\n\\t\\\\', '\\u200b', 'é']", "['\\n\\t\\\\', '\\u200b', 'é']")]
    [InlineData("namespace(a=1)", "<Namespace {'a': 1}>")]
    public void Values_PrintLikePython(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'a\\nb\\\\c\\x41\\u00e9\\''", "a\nb\\cAé'")]
    [InlineData("'a' 'b' \"c\"", "abc")]
    [InlineData("'\\q'", "\\q")]
    [InlineData("'\\101'", "A")]
    public void Strings_DecodeEscapes_AndJoinWhenAdjacent(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("1 < 2 < 3", "True")]
    [InlineData("1 < 3 < 2", "False")]
    [InlineData("1 == 1.0", "True")]
    [InlineData("true == 1", "True")]
    [InlineData("none == false", "False")]
    [InlineData("[1] == [1.0]", "True")]
    [InlineData("(1,) == [1]", "False")]
    [InlineData("{'a': 1} == {'a': 1.0}", "True")]
    [InlineData("'b' > 'a'", "True")]
    [InlineData("[1, 2] < [1, 3]", "True")]
    [InlineData("nope == nope2", "True")]
    [InlineData("1 != 2", "True")]
    public void Comparisons_ChainAndCompareByValue(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("1 in l", "True")]
    [InlineData("9 not in l", "True")]
    [InlineData("'ell' in s", "True")]
    [InlineData("'k' in d", "True")]
    [InlineData("'v' in d", "False")]
    [InlineData("1 in range(3)", "True")]
    [InlineData("'a' in nope", "False")]
    public void Membership_LooksAtItemsKeysAndSubstrings(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("1 and 0", "0")]
    [InlineData("0 or 'x'", "x")]
    [InlineData("'' or none", "None")]
    [InlineData("not ''", "True")]
    [InlineData("not 1 == 2", "True")]
    [InlineData("not s is string", "False")]
    [InlineData("l and s", "hello")]
    [InlineData("[] or {}", "{}")]
    public void Logic_YieldsTheDecidingOperand(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'a' if false", "")]
    [InlineData("'a' if 1 else 'b'", "a")]
    [InlineData("'a' if 0 else 'b' if 0 else 'c'", "c")]
    [InlineData("'a' ~ ('b' if true)", "ab")]
    public void InlineIf_WithoutElse_IsEmpty(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("s[0]", "h")]
    [InlineData("s[-1]", "o")]
    [InlineData("s[1:3]", "el")]
    [InlineData("s[::-1]", "olleh")]
    [InlineData("s[:-1]", "hell")]
    [InlineData("s[-3:]", "llo")]
    [InlineData("s[::2]", "hlo")]
    [InlineData("s[3:1]", "")]
    [InlineData("l[::-1]", "[3, 2, 1]")]
    [InlineData("l[1:]", "[2, 3]")]
    [InlineData("l[-2:]", "[2, 3]")]
    [InlineData("l[5:]", "[]")]
    [InlineData("l[10]", "")]
    [InlineData("(1, 2, 3)[1:]", "(2, 3)")]
    [InlineData("range(5)[2]", "2")]
    [InlineData("l[-100:100]", "[1, 2, 3]")]
    public void Subscripts_CountFromBothEnds(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("u[1]", "😀")]
    [InlineData("u[1:]", "😀b")]
    [InlineData("u|length", "3")]
    [InlineData("u[::-1]", "b😀a")]
    [InlineData("u.find('b')", "2")]
    [InlineData("u|list", "['a', '😀', 'b']")]
    public void Subscripts_OfText_CountCodePoints(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("d.k", "v")]
    [InlineData("d['k']", "v")]
    [InlineData("d.nope", "")]
    [InlineData("d['nope']", "")]
    [InlineData("{'items': 1}['items']", "1")]
    [InlineData("{'items': 1}.items() | list", "[('items', 1)]")]
    [InlineData("none.x", "")]
    [InlineData("(1).x", "")]
    [InlineData("'abc'['upper']()", "ABC")]
    [InlineData("{'a': {'b': [1, {'c': '}}'}]}}.a.b[1].c", "}}")]
    public void Attributes_PreferMethods_AndSubscriptsPreferKeys(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("nope", "")]
    [InlineData("nope is defined", "False")]
    [InlineData("not nope", "True")]
    [InlineData("nope | length", "0")]
    [InlineData("nope | default('z')", "z")]
    [InlineData("nope | list", "[]")]
    [InlineData("d.nope is undefined", "True")]
    public void Undefined_IsEmptyAndFalse(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("s is string", "True")]
    [InlineData("d is mapping", "True")]
    [InlineData("l is sequence", "True")]
    [InlineData("d is sequence", "True")]
    [InlineData("s is iterable", "True")]
    [InlineData("1 is number", "True")]
    [InlineData("true is number", "True")]
    [InlineData("true is integer", "False")]
    [InlineData("1 is integer", "True")]
    [InlineData("1.0 is float", "True")]
    [InlineData("true is boolean", "True")]
    [InlineData("none is none", "True")]
    [InlineData("none is defined", "True")]
    [InlineData("3 is divisibleby 3", "True")]
    [InlineData("3 is divisibleby(2)", "False")]
    [InlineData("1 is eq 1", "True")]
    [InlineData("1 is equalto(2)", "False")]
    [InlineData("1 is ne 2", "True")]
    [InlineData("1 is lt 2", "True")]
    [InlineData("2 is ge(2)", "True")]
    [InlineData("1 is in [1]", "True")]
    [InlineData("'A' is upper", "True")]
    [InlineData("'a' is lower", "True")]
    [InlineData("1 is not none", "True")]
    [InlineData("l is iterable and l is not string", "True")]
    [InlineData("true is sameas true", "True")]
    [InlineData("5 is even", "False")]
    [InlineData("5 is odd", "True")]
    [InlineData("range is callable", "True")]
    [InlineData("true is true", "True")]
    [InlineData("0 is false", "False")]
    public void Tests_KnowTheirTypes(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));
}
