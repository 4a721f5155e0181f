namespace Eigengate.ChatTemplates.Syntax;

internal enum TokenKind
{
    Text,
    ExpressionBegin,
    ExpressionEnd,
    TagBegin,
    TagEnd,
    Name,
    String,
    Number,
    Operator,
    End,
}

/// <summary><see cref="Value"/> is the number itself for numbers; strings carry their decoded text.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, Position Position, object? Value = null)
{
    public bool IsOperator(string text) => Kind == TokenKind.Operator && Text == text;

    public bool IsName(string text) => Kind == TokenKind.Name && Text == text;

    public string Describe() => Kind switch
    {
        TokenKind.Text => "text",
        TokenKind.ExpressionEnd => "'}}'",
        TokenKind.TagEnd => "'%}'",
        TokenKind.ExpressionBegin => "'{{'",
        TokenKind.TagBegin => "'{%'",
        TokenKind.String => "a string",
        TokenKind.End => "the end of the template",
        _ => $"'{Text}'",
    };
}
