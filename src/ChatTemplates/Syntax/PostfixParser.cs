using System.Text;
using Eigengate.ChatTemplates.Library;
using Eigengate.ChatTemplates.Nodes;
using Eigengate.ChatTemplates.Runtime;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>Literals, names, and what follows them: attributes, items, calls, filters and tests.</summary>
internal sealed class PostfixParser(TokenCursor cursor, ExpressionParser expressions)
{
    private static readonly HashSet<string> Reserved = ["and", "or", "not", "if", "else", "in", "is"];
    private static readonly HashSet<string> ImplicitNames = ["caller", "varargs", "kwargs"];

    public Expression Primary()
    {
        Token token = cursor.Current;
        switch (token.Kind)
        {
            case TokenKind.Name when Reserved.Contains(token.Text):
                throw cursor.Unexpected("an expression");
            case TokenKind.Name:
                cursor.Advance();
                return NameOrConstant(token);
            case TokenKind.Number:
                return new Constant(token.Position, cursor.Advance().Value);
            case TokenKind.String:
                return Strings();
        }

        if (cursor.SkipOperator("("))
            return Parenthesised(token.Position);
        if (cursor.SkipOperator("["))
            return new ListLiteral(token.Position, Items("]"));
        if (cursor.SkipOperator("{"))
            return Dict(token.Position);
        throw cursor.Unexpected("an expression");
    }

    public Expression Parse(Expression operand, bool withFilters)
    {
        while (true)
        {
            Token token = cursor.Current;
            if (cursor.SkipOperator("."))
                operand = Dotted(operand);
            else if (cursor.SkipOperator("["))
                operand = Subscript(token.Position, operand);
            else if (token.IsOperator("("))
                operand = new Call(token.Position, operand, Arguments());
            else
                break;
        }

        return withFilters ? FiltersAndTests(operand) : operand;
    }

    /// <summary>Filters alone, as block statements take them, starting behind the first bar.</summary>
    public List<FilterHead> Filters()
    {
        List<FilterHead> filters = [Filter()];
        while (cursor.SkipOperator("|"))
            filters.Add(Filter());
        return filters;
    }

    public ArgumentList Arguments()
    {
        cursor.ExpectOperator("(");
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        Expression? spread = null;
        Expression? namedSpread = null;
        while (!cursor.SkipOperator(")"))
        {
            if (positional.Count + named.Count > 0 || spread is not null || namedSpread is not null)
            {
                if (!cursor.Current.IsOperator(","))
                    throw cursor.Unexpected("',' or ')'");
                cursor.Advance();
                if (cursor.SkipOperator(")"))
                    break;
            }

            if (cursor.SkipOperator("**"))
                namedSpread = expressions.Expression();
            else if (cursor.SkipOperator("*"))
                spread = expressions.Expression();
            else if (cursor.Current.Kind == TokenKind.Name && cursor.Peek(1).IsOperator("="))
                named.Add(NamedArgument());
            else if (named.Count > 0 || namedSpread is not null)
                throw cursor.Unexpected("a named argument");
            else
                positional.Add(expressions.Expression());
        }

        return positional.Count + named.Count == 0 && spread is null && namedSpread is null
            ? ArgumentList.Empty
            : new ArgumentList(positional, named, spread, namedSpread);
    }

    private (string Name, Expression Value) NamedArgument()
    {
        string name = cursor.Advance().Text;
        cursor.Advance();
        return (name, expressions.Expression());
    }

    private Expression NameOrConstant(Token token)
    {
        switch (token.Text)
        {
            case "true" or "True": return new Constant(token.Position, true);
            case "false" or "False": return new Constant(token.Position, false);
            case "none" or "None": return new Constant(token.Position, null);
        }

        if (ImplicitNames.Contains(token.Text))
            cursor.ImplicitNames.Peek().Add(token.Text);
        return new Name(token.Position, token.Text);
    }

    private Constant Strings()
    {
        Position position = cursor.Current.Position;
        var text = new StringBuilder();
        while (cursor.Current.Kind == TokenKind.String)
            text.Append(cursor.Advance().Text);
        return new Constant(position, text.ToString());
    }

    private Expression Parenthesised(Position position)
    {
        if (cursor.SkipOperator(")"))
            return new TupleLiteral(position, []);
        Expression inner = expressions.Tuple();
        cursor.ExpectOperator(")");
        return inner;
    }

    private List<Expression> Items(string close)
    {
        var items = new List<Expression>();
        while (!cursor.SkipOperator(close))
        {
            if (items.Count > 0)
            {
                if (!cursor.SkipOperator(","))
                    throw cursor.Unexpected($"',' or '{close}'");
                if (cursor.SkipOperator(close))
                    break;
            }

            items.Add(expressions.Expression());
        }

        return items;
    }

    private DictLiteral Dict(Position position)
    {
        var entries = new List<(Expression, Expression)>();
        while (!cursor.SkipOperator("}"))
        {
            if (entries.Count > 0)
            {
                if (!cursor.SkipOperator(","))
                    throw cursor.Unexpected("',' or '}'");
                if (cursor.SkipOperator("}"))
                    break;
            }

            Expression key = expressions.Expression();
            cursor.ExpectOperator(":");
            entries.Add((key, expressions.Expression()));
        }

        return new DictLiteral(position, entries);
    }

    private Expression Dotted(Expression target)
    {
        Token name = cursor.Current;
        if (name.Kind == TokenKind.Number && name.Value is long)
            return new ItemAccess(name.Position, target, new Constant(name.Position, cursor.Advance().Value));
        return new AttributeAccess(name.Position, target, cursor.ExpectIdentifier().Text);
    }

    private Expression Subscript(Position position, Expression target)
    {
        Expression? start = null;
        if (!cursor.Current.IsOperator(":"))
        {
            start = expressions.Tuple();
            if (cursor.SkipOperator("]"))
                return new ItemAccess(position, target, start);
        }

        cursor.ExpectOperator(":");
        Expression? stop = SliceEdge();
        Expression? step = cursor.SkipOperator(":") ? SliceEdge() : null;
        cursor.ExpectOperator("]");
        return new SliceAccess(position, target, start, stop, step);
    }

    private Expression? SliceEdge() =>
        cursor.Current.IsOperator(":") || cursor.Current.IsOperator("]") ? null : expressions.Expression();

    private Expression FiltersAndTests(Expression operand)
    {
        while (true)
        {
            Token token = cursor.Current;
            if (cursor.SkipOperator("|"))
                operand = Filter().Apply(operand);
            else if (cursor.SkipName("is"))
                operand = Test(token.Position, operand);
            else if (token.IsOperator("("))
                operand = new Call(token.Position, operand, Arguments());
            else
                return operand;
        }
    }

    private FilterHead Filter()
    {
        (string name, Position position) = DottedName();
        Builtin? filter = Library.Filters.Find(name);
        if (filter is null)
            cursor.Unknown.Add(TokenCursor.ErrorAt(position, $"no filter named '{name}'"));
        return new FilterHead(position, name, filter, OptionalArguments());
    }

    private Expression Test(Position position, Expression operand)
    {
        bool negated = cursor.SkipName("not");
        (string name, Position at) = DottedName();
        Builtin? test = Tests.Find(name);
        if (test is null)
            cursor.Unknown.Add(TokenCursor.ErrorAt(at, $"no test named '{name}'"));
        ArgumentList arguments = StartsTestArgument()
            ? new ArgumentList([Parse(Primary(), withFilters: false)], [], null, null)
            : OptionalArguments();
        Expression result = new TestCall(position, name, test, operand, arguments);
        return negated ? new Not(position, result) : result;
    }

    private bool StartsTestArgument() => cursor.Current.Kind switch
    {
        TokenKind.Name => !Reserved.Contains(cursor.Current.Text),
        TokenKind.String or TokenKind.Number => true,
        _ => cursor.Current.IsOperator("[") || cursor.Current.IsOperator("{"),
    };

    private ArgumentList OptionalArguments() => cursor.Current.IsOperator("(") ? Arguments() : ArgumentList.Empty;

    private (string Name, Position Position) DottedName()
    {
        Token first = cursor.ExpectIdentifier();
        string name = first.Text;
        while (cursor.SkipOperator("."))
            name = name + "." + cursor.ExpectIdentifier().Text;
        return (name, first.Position);
    }
}

/// <summary>A filter with its arguments, before the value it applies to is known.</summary>
internal sealed record FilterHead(Position Position, string Name, Builtin? Filter, ArgumentList Arguments)
{
    public FilterCall Apply(Expression operand) => new(Position, Name, Filter, operand, Arguments);
}
