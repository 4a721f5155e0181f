namespace Eigengate.ChatTemplates;

/// <summary>A template that cannot be parsed, or that failed while rendering the values it was given.</summary>
public class ChatTemplateException(string message, int line = 0, int column = 0, Exception? inner = null)
    : Exception(line > 0 ? $"chat template, line {line}, column {column}: {message}" : message, inner)
{
    /// <summary>1-based line of the template source; 0 when the failure has no place in it.</summary>
    public int Line { get; } = line;

    /// <summary>1-based column of the template source; 0 when the failure has no place in it.</summary>
    public int Column { get; } = column;
}
