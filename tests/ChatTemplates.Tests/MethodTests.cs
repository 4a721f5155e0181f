namespace Eigengate.ChatTemplates.Tests;

/// <summary>Methods of strings, lists and dicts.</summary>
public sealed class MethodTests
{
    [Theory]
    [InlineData("' a '.strip()", "a")]
    [InlineData("'xax'.lstrip('x')", "ax")]
    [InlineData("'xax'.rstrip('x')", "xa")]
    [InlineData("'abcba'.strip('ab')", "c")]
    public void Strip_TakesBlanksOrGivenCharacters(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'a,b,c'.split(',')", "['a', 'b', 'c']")]
    [InlineData("' a  b '.split()", "['a', 'b']")]
    [InlineData("'a,b,c'.split(',', 1)", "['a', 'b,c']")]
    [InlineData("'a b c'.rsplit(' ', 1)", "['a b', 'c']")]
    [InlineData("''.split()", "[]")]
    [InlineData("''.split(',')", "['']")]
    [InlineData("'a b c  '.split(none, 1)", "['a', 'b c  ']")]
    [InlineData("' a b  c '.rsplit(none, 1)", "[' a b', 'c']")]
    [InlineData("'a\\nb\\r\\nc'.splitlines()", "['a', 'b', 'c']")]
    [InlineData("'a\\nb'.splitlines(true)", "['a\\n', 'b']")]
    [InlineData("'a-b-c'.partition('-')", "('a', '-', 'b-c')")]
    [InlineData("'a-b-c'.rpartition('-')", "('a-b', '-', 'c')")]
    [InlineData("'ab'.partition('-')", "('ab', '', '')")]
    public void Split_FollowsPython(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'abc'.startswith('a')", "True")]
    [InlineData("'abc'.startswith('b', 1)", "True")]
    [InlineData("'abc'.endswith(('c', 'd'))", "True")]
    [InlineData("'abc'.find('c')", "2")]
    [InlineData("'abc'.find('z')", "-1")]
    [InlineData("'aXbX'.rfind('X')", "3")]
    [InlineData("'abcabc'.count('b')", "2")]
    [InlineData("'abcabc'.index('c')", "2")]
    [InlineData("'abcabc'.find('a', 1)", "3")]
    public void Search_FollowsPython(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'abc'.replace('b', 'x')", "axc")]
    [InlineData("'aaa'.replace('a', 'b', 2)", "bba")]
    [InlineData("'ab'.replace('', '-')", "-a-b-")]
    [InlineData("'-'.join(['a', 'b'])", "a-b")]
    [InlineData("'abc'.removeprefix('a')", "bc")]
    [InlineData("'abc'.removesuffix('c')", "ab")]
    [InlineData("'7'.zfill(3)", "007")]
    [InlineData("'-7'.zfill(4)", "-007")]
    [InlineData("\"they're\".title()", "They'Re")]
    [InlineData("'aB'.upper()", "AB")]
    [InlineData("'aB'.lower()", "ab")]
    [InlineData("'aB'.capitalize()", "Ab")]
    public void Text_CanBeChanged(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'12'.isdigit()", "True")]
    [InlineData("''.isdigit()", "False")]
    [InlineData("'ab'.isalpha()", "True")]
    [InlineData("'a1'.isalnum()", "True")]
    [InlineData("' '.isspace()", "True")]
    [InlineData("'AB'.isupper()", "True")]
    [InlineData("'aB'.islower()", "False")]
    public void Text_CanBeClassified(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("'{} {}'.format(1, 'a')", "1 a")]
    [InlineData("'{0}{1}{0} {x}'.format(1, 2, x=3)", "121 3")]
    [InlineData("'{{}}'.format()", "{}")]
    [InlineData("'%s is %d and %.2f' % ('a', 3, 2.675)", "a is 3 and 2.67")]
    [InlineData("'%05.1f|%r|%%|%5s|%-5s|' % (3.14159, 'q', 'x', 'y')", "003.1|'q'|%|    x|y    |")]
    [InlineData("'%(a)s' % {'a': 1}", "1")]
    [InlineData("'%x' % 255", "ff")]
    public void Text_CanBeFormatted(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("[1, 2, 3].index(2)", "1")]
    [InlineData("[1, 1].count(1)", "2")]
    [InlineData("(1, 2).index(2)", "1")]
    [InlineData("l.copy()", "[1, 2, 3]")]
    public void Sequences_CountAndFind(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));

    [Theory]
    [InlineData("d.get('k')", "v")]
    [InlineData("d.get('zz')", "None")]
    [InlineData("d.get('zz', 3)", "3")]
    [InlineData("d.items() | list", "[('k', 'v'), ('n', 1)]")]
    [InlineData("d.keys() | list", "['k', 'n']")]
    [InlineData("d.values() | list", "['v', 1]")]
    [InlineData("d.items() | length", "2")]
    [InlineData("d.copy()", "{'k': 'v', 'n': 1}")]
    public void Dicts_AnswerForTheirEntries(string template, string expected) =>
        Assert.Equal(expected, Sample.Print(template));
}
