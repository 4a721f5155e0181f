using Eigengate.ChatTemplates.Nodes;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>What may be assigned to.</summary>
internal sealed class TargetParser(TokenCursor cursor)
{
    private static readonly HashSet<string> Unassignable =
        ["true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else"];

    /// <summary>Names after <c>for</c>, up to <c>in</c>.</summary>
    public Target Loop() => Several(Name, t => t.IsName("in"));

    /// <summary>Left side of <c>set</c>; here a name may carry an attribute of a namespace.</summary>
    public Target Assignment() => Several(NameOrAttribute, t => t.IsOperator("=") || t.Kind == TokenKind.TagEnd);

    private Target Several(Func<Target> one, Func<Token, bool> atEnd)
    {
        Position position = cursor.Current.Position;
        Target first = Part(one);
        if (!cursor.Current.IsOperator(","))
            return first;
        List<Target> parts = [first];
        while (cursor.SkipOperator(",") && !atEnd(cursor.Current))
            parts.Add(Part(one));
        return new TupleTarget(position, parts);
    }

    private Target Part(Func<Target> one)
    {
        if (!cursor.SkipOperator("("))
            return one();
        Target inner = cursor.Nested(() => Several(one, t => t.IsOperator(")")));
        cursor.ExpectOperator(")");
        return inner;
    }

    private NameTarget Name()
    {
        Token name = cursor.ExpectIdentifier();
        if (Unassignable.Contains(name.Text))
            throw TokenCursor.ErrorAt(name.Position, $"cannot assign to '{name.Text}'");
        return new NameTarget(name.Position, name.Text);
    }

    private Target NameOrAttribute()
    {
        Token name = cursor.Current;
        NameTarget plain = Name();
        return cursor.SkipOperator(".")
            ? new AttributeTarget(name.Position, name.Text, cursor.ExpectIdentifier().Text)
            : plain;
    }
}
