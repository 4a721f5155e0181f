using System.Runtime.CompilerServices;

namespace Eigengate.ChatTemplates.Syntax;

/// <summary>Walks the tokens and keeps what both parsers share: nesting depth and the context they are in.</summary>
internal sealed class TokenCursor(IReadOnlyList<Token> tokens)
{
    private const int MaxNesting = 200;

    private int _next;
    private int _nesting;

    public Token Current => tokens[_next];

    /// <summary>
    /// Unknown filters and tests met so far. Conditional constructs drop those of their branches, which may never run.
    /// </summary>
    public List<ChatTemplateException> Unknown { get; } = [];

    /// <summary>The implicit macro names mentioned so far, innermost macro on top.</summary>
    public Stack<HashSet<string>> ImplicitNames { get; } = new([[]]);

    public Token Peek(int ahead) => tokens[Math.Min(_next + ahead, tokens.Count - 1)];

    public Token Advance()
    {
        Token token = Current;
        if (token.Kind != TokenKind.End)
            _next++;
        return token;
    }

    public bool SkipOperator(string text) => Skip(Current.IsOperator(text));

    public bool SkipName(string text) => Skip(Current.IsName(text));

    public Token ExpectOperator(string text) => Current.IsOperator(text) ? Advance() : throw Unexpected($"'{text}'");

    public void ExpectName(string text)
    {
        if (!SkipName(text))
            throw Unexpected($"'{text}'");
    }

    public Token ExpectIdentifier() => Current.Kind == TokenKind.Name ? Advance() : throw Unexpected("a name");

    public Token Expect(TokenKind kind) =>
        Current.Kind == kind ? Advance() : throw Unexpected(new Token(kind, "", default).Describe());

    public void ForgetUnknown(int mark) => Unknown.RemoveRange(mark, Unknown.Count - mark);

    /// <summary>Runs one level of a recursive rule.</summary>
    public T Nested<T>(Func<T> rule)
    {
        if (++_nesting > MaxNesting || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw Error($"nested deeper than {MaxNesting} levels");
        T result = rule();
        _nesting--;
        return result;
    }

    public ChatTemplateException Unexpected(string expected) => Error($"expected {expected}, found {Current.Describe()}");

    public ChatTemplateException Error(string message) => ErrorAt(Current.Position, message);

    public static ChatTemplateException ErrorAt(Position position, string message) =>
        new(message, position.Line, position.Column);

    private bool Skip(bool matches)
    {
        if (matches)
            _next++;
        return matches;
    }
}
