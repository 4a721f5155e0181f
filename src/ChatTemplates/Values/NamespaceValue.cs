namespace Eigengate.ChatTemplates.Values;

/// <summary>The one object whose attributes a template may assign.</summary>
internal sealed class NamespaceValue
{
    public DictValue Attributes { get; } = new();
}
