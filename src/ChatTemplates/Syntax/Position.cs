namespace Eigengate.ChatTemplates.Syntax;

/// <summary>1-based place in the template source.</summary>
internal readonly record struct Position(int Line, int Column);
