using Eigengate.ChatTemplates.Nodes;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>Text, expressions and tags.</summary>
internal sealed class TemplateParser
{
    private readonly TokenCursor _cursor;
    private readonly ExpressionParser _expressions;
    private readonly TargetParser _targets;
    private int _loops;

    private TemplateParser(string source)
    {
        _cursor = new TokenCursor(TemplateLexer.Tokenize(source));
        _expressions = new ExpressionParser(_cursor);
        _targets = new TargetParser(_cursor);
    }

    public static Block Parse(string source)
    {
        var parser = new TemplateParser(source);
        Block body = parser.Body("the end of the template");
        if (parser._cursor.Current.Kind != TokenKind.End)
            throw parser._cursor.Error($"unexpected tag '{parser._cursor.Peek(1).Text}', no open block ends here");
        if (parser._cursor.Unknown.Count > 0)
            throw parser._cursor.Unknown[0];
        return body;
    }

    /// <summary>Statements up to one of the closing tags, whose name is then the current token.</summary>
    private Block Body(string opening, params string[] closings)
    {
        Position position = _cursor.Current.Position;
        var statements = new List<Statement>();
        while (_cursor.Current.Kind != TokenKind.End)
        {
            if (_cursor.Current.Kind == TokenKind.TagBegin && EndsBlock(_cursor.Peek(1)))
            {
                if (closings.Length == 0)
                    return new Block(position, statements);
                _cursor.Advance();
                if (!closings.Contains(_cursor.Current.Text))
                    throw Unclosed(opening, closings);
                return new Block(position, statements);
            }

            statements.Add(_cursor.Nested(Statement));
        }

        if (closings.Length > 0)
            throw Unclosed(opening, closings);
        return new Block(position, statements);
    }

    private ChatTemplateException Unclosed(string opening, string[] closings) =>
        _cursor.Unexpected($"{string.Join(" or ", closings.Select(c => $"'{{% {c} %}}'"))} for '{opening}'");

    private static bool EndsBlock(Token token) =>
        token.Kind == TokenKind.Name
        && (token.Text.StartsWith("end", StringComparison.Ordinal) || token.Text is "else" or "elif");

    private Statement Statement()
    {
        Token token = _cursor.Advance();
        switch (token.Kind)
        {
            case TokenKind.Text:
                return new TextOutput(token.Position, token.Text);
            case TokenKind.ExpressionBegin:
                Expression expression = _expressions.Tuple();
                _cursor.Expect(TokenKind.ExpressionEnd);
                return new ExpressionOutput(token.Position, expression);
            default:
                return Tag();
        }
    }

    private Statement Tag()
    {
        Token name = _cursor.Current.Kind == TokenKind.Name ? _cursor.Advance() : throw _cursor.Unexpected("a tag name");
        return name.Text switch
        {
            "if" => If(name),
            "for" => For(name),
            "set" => Set(name),
            "macro" => Macro(name),
            "call" => Call(name),
            "filter" => Filter(name),
            "with" => With(name),
            "generation" => Generation(name),
            "break" or "continue" => LoopControl(name),
            _ => throw TokenCursor.ErrorAt(name.Position, $"unknown tag '{name.Text}'"),
        };
    }

    private If If(Token tag)
    {
        Expression condition = _expressions.Tuple();
        _cursor.Expect(TokenKind.TagEnd);
        int mark = _cursor.Unknown.Count;
        Block then = Body(tag.Text, "elif", "else", "endif");
        Token next = _cursor.Advance();
        Statement? otherwise = next.Text switch
        {
            "elif" => _cursor.Nested(() => If(next)),
            "else" => Else("endif"),
            _ => null,
        };
        if (next.Text == "endif")
            _cursor.Expect(TokenKind.TagEnd);
        _cursor.ForgetUnknown(mark);
        return new If(tag.Position, condition, then, otherwise);
    }

    private Block Else(string closing)
    {
        _cursor.Expect(TokenKind.TagEnd);
        Block body = Body("else", closing);
        Close();
        return body;
    }

    private void Close()
    {
        _cursor.Advance();
        _cursor.Expect(TokenKind.TagEnd);
    }

    private For For(Token tag)
    {
        Target target = _targets.Loop();
        _cursor.ExpectName("in");
        Expression source = _expressions.Tuple(allowConditional: false);
        Expression? filter = _cursor.SkipName("if") ? _expressions.Expression() : null;
        if (_cursor.Current.IsName("recursive"))
            throw _cursor.Error("recursive loops are not supported");
        _cursor.Expect(TokenKind.TagEnd);
        _loops++;
        Block body = Body(tag.Text, "else", "endfor");
        _loops--;
        Block? otherwise = null;
        if (_cursor.SkipName("else"))
            otherwise = Else("endfor");
        else
            Close();
        return new For(tag.Position, target, source, filter, body, otherwise);
    }

    private LoopControl LoopControl(Token tag)
    {
        if (_loops == 0)
            throw TokenCursor.ErrorAt(tag.Position, $"'{tag.Text}' outside of a loop");
        _cursor.Expect(TokenKind.TagEnd);
        return new LoopControl(tag.Position, tag.Text == "break" ? Flow.Break : Flow.Continue);
    }

    private Set Set(Token tag)
    {
        Target target = _targets.Assignment();
        if (_cursor.SkipOperator("="))
        {
            Expression value = _expressions.Tuple();
            _cursor.Expect(TokenKind.TagEnd);
            return new Set(tag.Position, target, value);
        }

        if (target is TupleTarget)
            throw _cursor.Unexpected("'='");
        if (!_cursor.Current.IsOperator("|") && _cursor.Current.Kind != TokenKind.TagEnd)
            throw _cursor.Unexpected("'=' or '%}'");
        return new Set(tag.Position, target, FilteredText(tag, "endset", _cursor.SkipOperator("|")));
    }

    private ExpressionOutput Filter(Token tag) =>
        new(tag.Position, FilteredText(tag, "endfilter", hasFilters: true));

    /// <summary>A captured block with the filters written in its opening tag.</summary>
    private Expression FilteredText(Token tag, string closing, bool hasFilters)
    {
        List<FilterHead> filters = hasFilters ? _expressions.Filters() : [];
        _cursor.Expect(TokenKind.TagEnd);
        Expression text = new CapturedText(tag.Position, OutsideLoops(() => Body(tag.Text, closing)));
        Close();
        return filters.Aggregate(text, (operand, filter) => filter.Apply(operand));
    }

    private ScopedBlock With(Token tag)
    {
        var names = new List<(string, Expression)>();
        while (_cursor.Current.Kind != TokenKind.TagEnd)
        {
            if (names.Count > 0)
                _cursor.ExpectOperator(",");
            string name = _cursor.ExpectIdentifier().Text;
            _cursor.ExpectOperator("=");
            names.Add((name, _expressions.Expression()));
        }

        return Scoped(tag, names, "endwith");
    }

    /// <summary>Marks assistant text for training; when rendering it only limits scope.</summary>
    private ScopedBlock Generation(Token tag) => Scoped(tag, [], "endgeneration");

    private ScopedBlock Scoped(Token tag, List<(string, Expression)> names, string closing)
    {
        _cursor.Expect(TokenKind.TagEnd);
        Block body = Body(tag.Text, closing);
        Close();
        return new ScopedBlock(tag.Position, names, body);
    }

    private Macro Macro(Token tag)
    {
        string name = _cursor.ExpectIdentifier().Text;
        (MacroSignature signature, Block body) = MacroBody(tag, name, "endmacro", hasParameters: true, () => { });
        return new Macro(tag.Position, signature, body);
    }

    private CallBlock Call(Token tag)
    {
        Call? call = null;
        (MacroSignature signature, Block body) = MacroBody(tag, "caller", "endcall", _cursor.Current.IsOperator("("), () =>
            call = _expressions.Expression() as Call ?? throw TokenCursor.ErrorAt(tag.Position, "expected a macro call"));
        return new CallBlock(tag.Position, call!, signature, body);
    }

    private (MacroSignature Signature, Block Body) MacroBody(
        Token tag, string name, string closing, bool hasParameters, Action beforeEnd)
    {
        List<MacroParameter> parameters = hasParameters ? Parameters() : [];
        beforeEnd();
        _cursor.Expect(TokenKind.TagEnd);
        _cursor.ImplicitNames.Push([]);
        Block body = OutsideLoops(() => Body(tag.Text, closing));
        HashSet<string> mentioned = _cursor.ImplicitNames.Pop();
        Close();
        return (new MacroSignature(
            name, parameters, mentioned.Contains("caller"), mentioned.Contains("varargs"), mentioned.Contains("kwargs")), body);
    }

    private List<MacroParameter> Parameters()
    {
        var parameters = new List<MacroParameter>();
        _cursor.ExpectOperator("(");
        while (!_cursor.SkipOperator(")"))
        {
            if (parameters.Count > 0)
                _cursor.ExpectOperator(",");
            string name = _cursor.ExpectIdentifier().Text;
            Expression? value = _cursor.SkipOperator("=") ? _expressions.Expression() : null;
            if (value is null && parameters.Count > 0 && parameters[^1].Default is not null)
                throw _cursor.Error($"parameter '{name}' needs a default, the one before it has one");
            parameters.Add(new MacroParameter(name, value));
        }

        return parameters;
    }

    private T OutsideLoops<T>(Func<T> rule)
    {
        int loops = _loops;
        _loops = 0;
        T result = rule();
        _loops = loops;
        return result;
    }
}
