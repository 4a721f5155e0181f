namespace Eigengate.ChatTemplates.Runtime;

/// <summary>Names of one block; assignments stay here, look-ups continue outwards.</summary>
internal sealed class Scope(Scope? parent)
{
    private Dictionary<string, object?>? _names;

    public bool TryGet(string name, out object? value)
    {
        for (Scope? scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope._names is not null && scope._names.TryGetValue(name, out value))
                return true;
        }

        value = null;
        return false;
    }

    public void Set(string name, object? value) => (_names ??= new(StringComparer.Ordinal))[name] = value;

    private Scope? Parent { get; } = parent;
}
