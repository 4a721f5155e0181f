namespace Eigengate.ChatTemplates.Values;

/// <summary>What a missing name, attribute or item evaluates to: empty and false, an error once it is used further.</summary>
internal sealed class Undefined(string reason)
{
    public string Reason { get; } = reason;
}
