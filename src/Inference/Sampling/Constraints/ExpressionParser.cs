namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>What the notations for expressions share: a position in the text, and alternatives of sequences to a bounded depth.</summary>
internal abstract class ExpressionParser(string text)
{
    protected const int MaxDepth = 100;
    private int _depth;

    protected string Text { get; } = text;

    protected int At { get; set; }

    protected Expression ReadAlternatives()
    {
        if (++_depth > MaxDepth)
            throw Refused($"more than {MaxDepth} nested groups");
        var options = new List<Expression>();
        do
            options.Add(ReadSequence());
        while (TryTake("|"));
        _depth--;
        return Expression.AnyOf(options);
    }

    protected abstract Expression ReadSequence();

    protected int ReadCodePoint()
    {
        if (!char.IsSurrogate(Peek()))
            return Text[At++];
        if (At + 1 == Text.Length || !char.IsSurrogatePair(Text, At))
            throw Refused("half of a surrogate pair");
        At += 2;
        return char.ConvertToUtf32(Text, At - 2);
    }

    protected char Peek() => Text[At];

    protected bool TryTake(string expected)
    {
        if (!Text.AsSpan(At).StartsWith(expected, StringComparison.Ordinal))
            return false;
        At += expected.Length;
        return true;
    }

    /// <summary>An error at the present position.</summary>
    protected abstract ConstraintException Refused(string what);
}
