using Eigengate.ChatTemplates.Nodes;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>Operators by precedence, loosest first. What binds tighter is in <see cref="PostfixParser"/>.</summary>
internal sealed class ExpressionParser
{
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    private readonly TokenCursor _cursor;
    private readonly PostfixParser _postfix;

    public ExpressionParser(TokenCursor cursor)
    {
        _cursor = cursor;
        _postfix = new PostfixParser(cursor, this);
    }

    public Expression Expression() => _cursor.Nested(Conditional);

    /// <summary>An expression without inline if, for places where a following <c>if</c> belongs to the statement.</summary>
    public Expression Unconditional() => _cursor.Nested(Or);

    /// <summary>One expression, or several with commas as a tuple.</summary>
    public Expression Tuple(bool allowConditional = true)
    {
        Position position = _cursor.Current.Position;
        Expression first = allowConditional ? Expression() : Unconditional();
        if (!_cursor.Current.IsOperator(","))
            return first;
        List<Expression> items = [first];
        while (_cursor.SkipOperator(",") && !EndsTuple())
            items.Add(allowConditional ? Expression() : Unconditional());
        return new TupleLiteral(position, items);
    }

    public List<FilterHead> Filters() => _postfix.Filters();

    private bool EndsTuple() =>
        _cursor.Current.Kind is TokenKind.ExpressionEnd or TokenKind.TagEnd
        || _cursor.Current.IsOperator(")") || _cursor.Current.IsOperator("]") || _cursor.Current.IsOperator("=");

    private Expression Conditional()
    {
        Position position = _cursor.Current.Position;
        int mark = _cursor.Unknown.Count;
        Expression value = Or();
        while (_cursor.SkipName("if"))
        {
            Expression condition = Or();
            Expression? otherwise = _cursor.SkipName("else") ? Expression() : null;
            value = new Conditional(position, value, condition, otherwise);
            _cursor.ForgetUnknown(mark);
        }

        return value;
    }

    private Expression Or()
    {
        Expression left = And();
        while (_cursor.Current.IsName("or"))
        {
            Position position = _cursor.Advance().Position;
            left = new Logical(position, isAnd: false, left, And());
        }

        return left;
    }

    private Expression And()
    {
        Expression left = Negation();
        while (_cursor.Current.IsName("and"))
        {
            Position position = _cursor.Advance().Position;
            left = new Logical(position, isAnd: true, left, Negation());
        }

        return left;
    }

    private Expression Negation()
    {
        if (!_cursor.Current.IsName("not"))
            return Comparison();
        Position position = _cursor.Advance().Position;
        return new Not(position, _cursor.Nested(Negation));
    }

    private Expression Comparison()
    {
        Expression first = Sum();
        Position position = _cursor.Current.Position;
        var links = new List<(string, Expression)>();
        while (ComparisonSymbol() is { } symbol)
            links.Add((symbol, Sum()));
        return links.Count == 0 ? first : new ComparisonChain(position, first, links);
    }

    private string? ComparisonSymbol()
    {
        Token token = _cursor.Current;
        if (token.Kind == TokenKind.Operator && Comparisons.Contains(token.Text))
            return _cursor.Advance().Text;
        if (_cursor.SkipName("in"))
            return "in";
        if (!token.IsName("not") || !_cursor.Peek(1).IsName("in"))
            return null;
        _cursor.Advance();
        _cursor.Advance();
        return "not in";
    }

    private Expression Sum() => LeftToRight(Concatenated, "+", "-");

    /// <summary><c>~</c> binds tighter than <c>+</c>.</summary>
    private Expression Concatenated()
    {
        Position position = _cursor.Current.Position;
        List<Expression> parts = [Product()];
        while (_cursor.SkipOperator("~"))
            parts.Add(Product());
        return parts.Count == 1 ? parts[0] : new Concatenation(position, parts);
    }

    private Expression Product() => LeftToRight(Power, "*", "/", "//", "%");

    private Expression Power() => LeftToRight(() => Unary(withFilters: true), "**");

    private Expression LeftToRight(Func<Expression> operand, params ReadOnlySpan<string> symbols)
    {
        Expression left = operand();
        while (_cursor.Current.Kind == TokenKind.Operator && symbols.Contains(_cursor.Current.Text))
        {
            Token symbol = _cursor.Advance();
            left = new Binary(symbol.Position, symbol.Text, left, operand());
        }

        return left;
    }

    /// <summary>A filter applies to the signed value: <c>-1|abs</c> is 1.</summary>
    private Expression Unary(bool withFilters)
    {
        Token token = _cursor.Current;
        if (!token.IsOperator("-") && !token.IsOperator("+"))
            return _postfix.Parse(_postfix.Primary(), withFilters);
        _cursor.Advance();
        Expression operand = _cursor.Nested(() => Unary(withFilters: false));
        return _postfix.Parse(new Sign(token.Position, token.Text == "-", operand), withFilters);
    }
}
